// Package edgehold carries the sources of the SDKs inside the programs, so that `edgehold policy new` writes projects
// that build without a network.
// It is not an API: what programs import lies in the folders.
package edgehold

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed LICENSE wasmabi/*.go sdk/go/policy/*.go sdk/go/policytest/*.go sdk/go/adapter/*.go sdk/go/adaptertest/*.go sdk/go/workload/*.go sdk/go/workloadtest/*.go
var files embed.FS

//go:embed sdk/c/*.h sdk/c/template
//go:embed sdk/rust/Cargo.toml sdk/rust/src sdk/rust/template sdk/rust/template/common/.cargo/config.toml
//go:embed sdk/assemblyscript/assembly sdk/assemblyscript/template
var kits embed.FS

// SDKPackages are the folders of the Go SDK, relative to the module.
var SDKPackages = []string{"sdk/go/policy", "sdk/go/policytest", "sdk/go/adapter", "sdk/go/adaptertest", "sdk/go/workload", "sdk/go/workloadtest", "wasmabi"}

// SDK calls visit with each file that a policy's project in Go needs, tests left out, in a fixed order.
func SDK(visit func(path string, content []byte) error) error {
	return walk(files, func(path string, content []byte) error {
		if strings.HasSuffix(path, "_test.go") {
			return nil
		}
		return visit(path, content)
	})
}

// Kit calls visit with each file of the SDK for another language, "c", "rust" or "assemblyscript", in a fixed order. Paths
// are relative to sdk/LANGUAGE; a project begins with those below template/common and template/KIND.
func Kit(language string, visit func(path string, content []byte) error) error {
	kit, err := fs.Sub(kits, "sdk/"+language)
	if err != nil {
		return err
	}
	return walk(kit, visit)
}

func walk(all fs.FS, visit func(path string, content []byte) error) error {
	return fs.WalkDir(all, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(all, path)
		if err != nil {
			return err
		}
		return visit(path, content)
	})
}
