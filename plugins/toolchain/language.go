package toolchain

import (
	"os"
	"path/filepath"
)

// Language is one that policies are written in.
type Language string

// The languages. A project in Go can be built as either of the first two.
const (
	Go             Language = "go"
	TinyGo         Language = "tinygo"
	Rust           Language = "rust"
	C              Language = "c"
	AssemblyScript Language = "assemblyscript"
)

// Languages are all of them.
var Languages = []Language{Go, TinyGo, Rust, C, AssemblyScript}

// signs tell a project's language, by the files that only its projects have.
var signs = []struct {
	pattern  string
	language Language
}{
	{"Cargo.toml", Rust},
	{assemblyEntry, AssemblyScript},
	{"*.go", Go},
	{"*.c", C},
}

// Detect tells the language of the project in dir; ok is false when there is none.
func Detect(dir string) (l Language, ok bool) {
	for _, s := range signs {
		if found, err := filepath.Glob(filepath.Join(dir, s.pattern)); err == nil && len(found) > 0 {
			return s.language, true
		}
	}
	return "", false
}

// Folder is where install-toolchains puts what does not come as a package: $EDGEHOLD_TOOLCHAINS, or edgehold/toolchains
// in the user's cache folder. It is empty where there is neither.
func Folder() string {
	if dir := os.Getenv("EDGEHOLD_TOOLCHAINS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "edgehold", "toolchains")
}
