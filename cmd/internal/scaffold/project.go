package scaffold

import (
	"bytes"
	"cmp"
	"embed"
	"io/fs"
	"path"
	"strings"
	"text/template"

	"github.com/edgehold/edgehold"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

const (
	modulePath    = "github.com/edgehold/edgehold"
	moduleVersion = "v0.1.0"
)

//go:embed template
var templates embed.FS

// parameters are what templates are filled in with.
type parameters struct {
	Name, Kind string
	Language   string // as people write it
	About      string // what the files are
	Field      string // what policy.yaml has to say of the language
	Memory     string // what a workload asks for
}

// project returns the files of a new project by path.
func project(name string, o Options) (map[string][]byte, error) {
	l, kind := cmp.Or(o.Language, toolchain.Go), wasmabi.KindPolicy
	if o.Workload {
		l, kind = cmp.Or(o.Language, toolchain.TinyGo), wasmabi.KindWorkload
	}
	f := forms[l]
	about, ok := f.about[kind]
	if !ok {
		return nil, &Error{"write " + kind + " project " + name, "scaffold.language", "there is no kit for a " + kind + " in " + f.title,
			"use another --lang; wasmabi/README.md says what a guest without a kit has to do", nil}
	}
	p := parameters{Name: name, Kind: kind, Language: f.title, About: about, Field: f.field, Memory: f.memory}
	files, err := f.files(p, o)
	if err != nil {
		return nil, err
	}
	files[".gitignore"] = []byte("*.wasm\n/node_modules/\n/target/\n")
	return files, fillFolder(files, "template/"+kind, p)
}

// goFiles are those of a project in Go. Its SDK is in the vendor folder.
func goFiles(p parameters, o Options) (map[string][]byte, error) {
	files := map[string][]byte{
		"go.mod":             []byte("module " + cmp.Or(o.Module, p.Name) + "\n\ngo " + GoVersion + "\n\nrequire " + modulePath + " " + moduleVersion + "\n"),
		"vendor/modules.txt": vendorList(),
	}
	if err := fillFolder(files, "template/go/"+p.Kind, p); err != nil {
		return nil, err
	}
	return files, edgehold.SDK(func(path string, content []byte) error {
		files["vendor/"+modulePath+"/"+path] = content
		return nil
	})
}

func vendorList() []byte {
	var b bytes.Buffer
	b.WriteString("# " + modulePath + " " + moduleVersion + "\n## explicit; go " + GoVersion + "\n")
	for _, p := range edgehold.SDKPackages {
		b.WriteString(modulePath + "/" + p + "\n")
	}
	return b.Bytes()
}

// kitFiles are the templates of an SDK, and the SDK itself in the folder sdk of the project.
func kitFiles(language, sdk string) func(parameters, Options) (map[string][]byte, error) {
	return func(p parameters, _ Options) (map[string][]byte, error) {
		files := map[string][]byte{}
		return files, edgehold.Kit(language, func(from string, content []byte) error {
			inTemplate, isTemplate := strings.CutPrefix(from, "template/")
			folder, to, _ := strings.Cut(inTemplate, "/")
			switch {
			case !isTemplate:
				files[path.Join(sdk, from)] = content
			case folder == "common" || folder == p.Kind:
				return fill(files, to, content, p)
			}
			return nil
		})
	}
}

func fillFolder(files map[string][]byte, folder string, p parameters) error {
	entries, err := fs.ReadDir(templates, folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := fs.ReadFile(templates, path.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		if err := fill(files, e.Name(), content, p); err != nil {
			return err
		}
	}
	return nil
}

// fill adds a file; one named *.tmpl is a template, and loses that ending.
func fill(files map[string][]byte, name string, content []byte, p parameters) error {
	name, isTemplate := strings.CutSuffix(name, ".tmpl")
	if !isTemplate {
		files[name] = content
		return nil
	}
	t, err := template.New(name).Parse(string(content))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return err
	}
	files[name] = b.Bytes()
	return nil
}
