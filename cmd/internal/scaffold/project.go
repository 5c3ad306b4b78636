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
	if o.Workload {
		return workloadProject(name, o)
	}
	f := forms[cmp.Or(o.Language, toolchain.Go)]
	files, err := f.files(name, o)
	if err != nil {
		return nil, err
	}
	files[".gitignore"] = []byte("*.wasm\n/node_modules/\n/target/\n")
	return files, fillFolder(files, "template/common", map[string]string{"Name": name, "Language": f.title, "About": f.about, "Field": f.field})
}

// workloadProject returns the files of a workload's project.
func workloadProject(name string, o Options) (map[string][]byte, error) {
	l := cmp.Or(o.Language, toolchain.TinyGo)
	if l != toolchain.Go && l != toolchain.TinyGo {
		return nil, &Error{"write workload project " + name, "scaffold.language", "workloads have a kit for Go alone, and not for " + string(l),
			"leave --lang out; wasmabi/README.md says what a guest without a kit has to do", nil}
	}
	files, err := goFiles("template/workload", name, o, map[string]string{"Name": name, "Language": forms[l].title, "Field": string(l), "About": aboutWorkload})
	if err != nil {
		return nil, err
	}
	files[".gitignore"] = []byte("*.wasm\n")
	return files, nil
}

// policyFiles are those of a policy in Go.
func policyFiles(name string, o Options) (map[string][]byte, error) {
	return goFiles("template/go", name, o, map[string]string{"Name": name})
}

// goFiles are those of a project in Go. Its SDK is in the vendor folder.
func goFiles(folder, name string, o Options, data map[string]string) (map[string][]byte, error) {
	files := map[string][]byte{
		"go.mod":             []byte("module " + cmp.Or(o.Module, name) + "\n\ngo " + GoVersion + "\n\nrequire " + modulePath + " " + moduleVersion + "\n"),
		"vendor/modules.txt": vendorList(),
	}
	if err := fillFolder(files, folder, data); err != nil {
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
