// Package edgehold carries the sources of the Go SDK inside the programs, so that `edgehold policy new` writes a
// project that builds without a network.
// It is not an API: what programs import lies in the folders.
package edgehold

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed LICENSE wasmabi/*.go sdk/go/policy/*.go sdk/go/policytest/*.go sdk/go/adapter/*.go sdk/go/adaptertest/*.go
var files embed.FS

// SDKPackages are the folders of the SDK, relative to the module.
var SDKPackages = []string{"sdk/go/policy", "sdk/go/policytest", "sdk/go/adapter", "sdk/go/adaptertest", "wasmabi"}

// SDK calls visit with each file that a policy's project needs, tests left out, in a fixed order.
func SDK(visit func(path string, content []byte) error) error {
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		content, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		return visit(path, content)
	})
}
