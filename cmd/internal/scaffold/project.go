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
)

const (
	modulePath    = "github.com/edgehold/edgehold"
	moduleVersion = "v0.1.0"
)

//go:embed template
var templates embed.FS

// project returns the files of a new project by path.
func project(name string, o Options) (map[string][]byte, error) {
	f := forms[cmp.Or(o.Language, toolchain.Go)]
	files, err := f.files(name, o)
	if err != nil {
		return nil, err
	}
	files[".gitignore"] = []byte("*.wasm\n/node_modules/\n/target/\n")
	return files, fillFolder(files, "template/common", map[string]string{"Name": name, "Language": f.title, "About": f.about, "Field": f.field})
}

// goFiles are those of a project in Go. Its SDK is in the vendor folder.
func goFiles(name string, o Options) (map[string][]byte, error) {
	files := map[string][]byte{
		"go.mod":             []byte("module " + cmp.Or(o.Module, name) + "\n\ngo " + GoVersion + "\n\nrequire " + modulePath + " " + moduleVersion + "\n"),
		"vendor/modules.txt": vendorList(),
	}
	if err := fillFolder(files, "template/go", map[string]string{"Name": name}); err != nil {
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

// kitFiles are the template of an SDK, and the SDK itself in the folder sdk of the project.
func kitFiles(language, sdk string) func(string, Options) (map[string][]byte, error) {
	return func(name string, _ Options) (map[string][]byte, error) {
		files := map[string][]byte{}
		return files, edgehold.Kit(language, func(from string, content []byte) error {
			if to, ok := strings.CutPrefix(from, "template/"); ok {
				return fill(files, to, content, map[string]string{"Name": name})
			}
			files[path.Join(sdk, from)] = content
			return nil
		})
	}
}

func fillFolder(files map[string][]byte, folder string, data map[string]string) error {
	entries, err := fs.ReadDir(templates, folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		content, err := fs.ReadFile(templates, path.Join(folder, e.Name()))
		if err != nil {
			return err
		}
		if err := fill(files, e.Name(), content, data); err != nil {
			return err
		}
	}
	return nil
}

// fill adds a file; one named *.tmpl is a template, and loses that ending.
func fill(files map[string][]byte, name string, content []byte, data map[string]string) error {
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
	if err := t.Execute(&b, data); err != nil {
		return err
	}
	files[name] = b.Bytes()
	return nil
}
