package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/edgehold/edgehold/agents/node/config"
)

// keys returns the dotted keys of a configuration type. What an operator names stands in capitals.
func keys(typ reflect.Type, prefix string) []string {
	switch {
	case typ == reflect.TypeFor[map[string]map[string]config.Bound]():
		return keys(reflect.TypeFor[config.Bound](), prefix+".MECHANISM.KNOB")
	case typ.Kind() != reflect.Struct:
		return []string{prefix}
	}
	var all []string
	for field := range typ.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, keys(field.Type, strings.TrimPrefix(prefix+"."+name, "."))...)
	}
	return all
}

// documented returns the keys in the first column of the README's table.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| key | default | what it is |")
	table, _, _ = strings.Cut(table, "\n\n")
	var all []string
	for line := range strings.Lines(table) {
		var first string
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(strings.Split(line, "|")[min(1, strings.Count(line, "|"))], -1) {
			key := m[1]
			if below, ok := strings.CutPrefix(key, "…"); ok {
				key = first[:strings.LastIndex(first, ".")] + below
			}
			first = key
			all = append(all, key)
		}
	}
	return all
}

func TestReadmeExplainsEveryKey(t *testing.T) {
	got, want := documented(t), keys(reflect.TypeFor[config.Config](), "")
	slices.Sort(got)
	slices.Sort(want)
	for _, key := range want {
		if !slices.Contains(got, key) {
			t.Errorf("README.md does not explain %s", key)
		}
	}
	for _, key := range got {
		if !slices.Contains(want, key) {
			t.Errorf("README.md explains %s, which is no key", key)
		}
	}
}

func TestReadmeExplainsTheExample(t *testing.T) {
	text, err := config.Example()
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	all := documented(t)
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		below, ok := v.(map[string]any)
		if slices.Contains(all, prefix) || strings.HasPrefix(prefix, "mechanism_plugins.envelope.") {
			return
		}
		if !ok {
			t.Errorf("README.md does not explain %s, which the example has", prefix)
		}
		for name, v := range below {
			walk(strings.TrimPrefix(prefix+"."+name, "."), v)
		}
	}
	walk("", tree)
}

func TestServiceIsValid(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	text, err := os.ReadFile("edgeholdd.service")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "edgeholdd.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), "/usr/bin/edgeholdd", self)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "edgeholdd.service") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
