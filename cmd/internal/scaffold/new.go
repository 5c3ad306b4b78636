package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/edgehold/edgehold"
	"github.com/edgehold/edgehold/wasmabi"
)

// GoVersion is the oldest Go that builds a policy: the first with go:wasmexport.
const GoVersion = "1.24"

const (
	modulePath    = "github.com/edgehold/edgehold"
	moduleVersion = "v0.1.0"
)

//go:embed template
var templates embed.FS

// Options are what New can vary.
type Options struct {
	Module string // path of the Go module; the policy's name when empty
}

// New writes a policy's project into dir, which must be missing or empty. The project builds and tests without a
// network: the SDK is in its vendor folder.
func New(dir, name string, o Options) error {
	attempt := "write policy project " + dir
	if !wasmabi.IsName(name) {
		return &Error{attempt, "scaffold.name", "the name " + name + " can't name a policy",
			"use lower case letters, digits and dashes, a letter first", nil}
	}
	if o.Module == "" {
		o.Module = name
	}
	files, err := project(name, o.Module)
	if err != nil {
		return err
	}
	if err := makeEmpty(dir, attempt); err != nil {
		return err
	}
	for path, content := range files {
		if err := write(filepath.Join(dir, filepath.FromSlash(path)), content); err != nil {
			return &Error{attempt, "scaffold.write", err.Error(), "check the folder's rights and the space on its disk", err}
		}
	}
	return nil
}

func makeEmpty(dir, attempt string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(dir, 0o755)
	case err == nil && len(entries) > 0:
		return &Error{attempt, "scaffold.exists", "the folder is not empty", "name a folder that does not exist yet", nil}
	}
	if err != nil {
		return &Error{attempt, "scaffold.write", err.Error(), "name a folder that can be made", err}
	}
	return nil
}

func write(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// project returns the files by path.
func project(name, module string) (map[string][]byte, error) {
	files := map[string][]byte{}
	all, err := template.ParseFS(templates, "template/*")
	if err != nil {
		return nil, err
	}
	for _, t := range all.Templates() {
		var b bytes.Buffer
		if err := t.Execute(&b, map[string]string{"Name": name}); err != nil {
			return nil, err
		}
		files[strings.TrimSuffix(t.Name(), ".tmpl")] = b.Bytes()
	}
	files[".gitignore"] = []byte("*.wasm\n")
	files["go.mod"] = []byte("module " + module + "\n\ngo " + GoVersion + "\n\nrequire " + modulePath + " " + moduleVersion + "\n")
	files["vendor/modules.txt"] = vendorList()
	err = edgehold.SDK(func(path string, content []byte) error {
		files["vendor/"+modulePath+"/"+path] = content
		return nil
	})
	return files, err
}

func vendorList() []byte {
	var b bytes.Buffer
	b.WriteString("# " + modulePath + " " + moduleVersion + "\n## explicit; go " + GoVersion + "\n")
	for _, p := range edgehold.SDKPackages {
		b.WriteString(modulePath + "/" + p + "\n")
	}
	return b.Bytes()
}
