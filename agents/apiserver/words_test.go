package apiserver

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A struct tag can't name a constant, so the words of an enumeration are written twice: as constants of package api and as
// enum tags. Lists of all constants are checked with them.
func TestEnumsListTheirConstants(t *testing.T) {
	files := append(sources(t, "../api"), sources(t, ".")...)
	words := map[string][]string{} // by type
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
				if text, err := strconv.Unquote(literal(v.Values[0])); err == nil && text != "" {
					words[typeName(v.Type)] = append(words[typeName(v.Type)], text)
				}
			}
			return true
		})
	}
	delete(words, "")
	checked := 0
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if list, ok := n.(*ast.CompositeLit); ok && f.Name.Name == "api" && words[typeName(list.Type)] != nil {
				if got, want := len(list.Elts), len(words[typeName(list.Type)]); got != want {
					t.Errorf("a list of %s has %d of %d constants", typeName(list.Type), got, want)
				}
			}
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil || words[typeName(field.Type)] == nil {
				return true
			}
			tag, _ := strconv.Unquote(field.Tag.Value)
			enum, ok := reflect.StructTag(tag).Lookup("enum")
			if !ok {
				return true
			}
			checked++
			got, want := strings.Split(enum, ","), slices.Clone(words[typeName(field.Type)])
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("enum of %s, a %s (-enum +constants):\n%s", field.Names[0], typeName(field.Type), diff)
			}
			return true
		})
	}
	if checked < 10 {
		t.Errorf("found %d enumerations, of types %q", checked, slices.Sorted(maps.Keys(words)))
	}
}

func sources(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// typeName is the name of T in T, *T, []T and api.T.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.ArrayType:
		return typeName(e.Elt)
	}
	return ""
}

func literal(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok {
		return l.Value
	}
	return ""
}
