package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/edgehold/edgehold"

type pkg struct {
	ImportPath, Dir, Name, Doc string
	Imports                    []string
	TestImports, XTestImports  []string
}

func (p pkg) rel() string { return rel(p.ImportPath) }

func rel(importPath string) string {
	r := strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
	if r == "" {
		return "."
	}
	return r
}

func ours(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

// match reports whether path is pattern, or below it where the pattern ends in "/...".
func match(pattern, p string) bool {
	if pattern == "..." {
		return true
	}
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return p == root || strings.HasPrefix(p, root+"/")
	}
	return pattern == p
}

func matchAny(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return match(pattern, p) })
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Name,Doc,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var pkgs []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list output: %v", err)
		}
		pkgs = append(pkgs, p)
	}
}

// allowed returns what the first matching rule lets the package at path p import.
func allowed(rules []rule, p string) []string {
	for _, r := range rules {
		if match(r.pkg, p) {
			return r.may
		}
	}
	return nil
}

func TestImportsFollowTheRules(t *testing.T) {
	for _, p := range packages(t) {
		may := allowed(imports, p.rel())
		for _, imp := range p.Imports {
			if ours(imp) && !matchAny(may, rel(imp)) {
				t.Errorf("%s imports %s: the rules allow it %q", p.rel(), rel(imp), may)
			}
		}
		may = slices.Concat(may, allowed(testImports, p.rel()))
		for _, imp := range slices.Concat(p.TestImports, p.XTestImports) {
			if ours(imp) && imp != p.ImportPath && !matchAny(may, rel(imp)) {
				t.Errorf("a test of %s imports %s: the rules allow it %q", p.rel(), rel(imp), may)
			}
		}
	}
}

func TestEveryRuleDecidesSomething(t *testing.T) {
	var paths []string
	for _, p := range packages(t) {
		paths = append(paths, p.rel())
	}
	for name, rules := range map[string][]rule{"imports": imports, "testImports": testImports} {
		for i, r := range rules {
			decides := func(p string) bool {
				return slices.IndexFunc(rules, func(r rule) bool { return match(r.pkg, p) }) == i
			}
			if !slices.ContainsFunc(paths, decides) {
				t.Errorf("%s: the rule for %s decides for no package", name, r.pkg)
			}
		}
	}
}

func TestForeignModulesHaveOneHome(t *testing.T) {
	for _, p := range packages(t) {
		for _, rule := range only {
			if matchAny(rule.importers, p.rel()) {
				continue
			}
			for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if match(rule.module+"/...", imp) {
					t.Errorf("%s imports %s: only %q may", p.rel(), imp, rule.importers)
				}
			}
		}
	}
}

func TestProgramsLinkOnlyWhatTheyMay(t *testing.T) {
	for _, n := range never {
		if _, err := os.Stat(filepath.Join(root(t), n.program)); err != nil {
			continue
		}
		cmd := exec.Command("go", "list", "-deps", "./"+n.program)
		cmd.Dir = root(t)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", n.program, err)
		}
		for dep := range strings.FieldsSeq(string(out)) {
			for _, m := range n.modules {
				if match(m+"/...", dep) {
					t.Errorf("%s links %s", n.program, dep)
				}
			}
			if ours(dep) && slices.Contains(doubles, rel(dep)) {
				t.Errorf("%s links %s, which is for tests", n.program, rel(dep))
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if strings.Contains(p.ImportPath, "/testdata/") || p.Name == "" {
			continue
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.rel())
		}
		if slices.Contains(vague, path.Base(p.rel())) {
			t.Errorf("%s: %q says nothing of what the package is for", p.rel(), path.Base(p.rel()))
		}
	}
}

func TestTopLevelFoldersAreTheArchitecture(t *testing.T) {
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(folders, e.Name()) {
			t.Errorf("folder %s is not part of the layout", e.Name())
		}
	}
}
