package kernel

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDebianSources(t *testing.T) {
	etc := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(etc, name)
		os.MkdirAll(filepath.Dir(file), 0o755)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("os-release", "ID=debian\nVERSION_CODENAME=bookworm\n")
	write("sources.list", "# deb http://old.example bookworm main\ndeb http://a.example/debian bookworm main\ndeb http://a.example/debian bookworm-updates main\n")
	write("sources.list.d/vendor.list", "deb https://vendor.example/apt sdk-bookworm main\n")
	write("sources.list.d/debian.sources", "Types: deb\nURIs: http://b.example/debian\nSuites: bookworm\nComponents: main\n\nTypes: deb\n# not bookworm\nURIs: http://c.example\nSuites: trixie\nComponents: main\n")

	got, err := debianSources(etc, filepath.Join(etc, "os-release"))
	if err != nil {
		t.Fatal(err)
	}
	want := sources{
		lines:   "deb http://a.example/debian bookworm main\ndeb http://a.example/debian bookworm-updates main\n",
		stanzas: "Types: deb\nURIs: http://b.example/debian\nSuites: bookworm\nComponents: main\n\n",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sources{})); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

func TestDebianSourcesElsewhere(t *testing.T) {
	etc := t.TempDir()
	release := filepath.Join(etc, "os-release")
	if _, err := debianSources(etc, release); err == nil {
		t.Error("no error without an os-release file")
	}
	os.WriteFile(release, []byte("ID=other\n"), 0o644)
	if _, err := debianSources(etc, release); err == nil {
		t.Error("no error without a code name")
	}
	os.WriteFile(release, []byte("VERSION_CODENAME=bookworm\n"), 0o644)
	if _, err := debianSources(etc, release); err == nil {
		t.Error("no error without an archive")
	}
}
