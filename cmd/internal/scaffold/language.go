package scaffold

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/toolchain"
)

// form is what a language's projects look like.
type form struct {
	title string // as people write it
	about string // for the project's README
	field string // what policy.yaml has to say, since the files do not
	files func(name string, o Options) (map[string][]byte, error)
}

const aboutGo = "`policy.go` decides, `policy.yaml` says what it sees and may touch, `policy_test.go` runs it without Wasm. The SDK is\n" +
	"in `vendor/`, so nothing is downloaded. `go doc github.com/edgehold/edgehold/sdk/go/policy` explains the rest."

const aboutWorkload = "`workload.go` computes, `policy.yaml` says what goes in and out and what it may read, `workload_test.go` runs it without Wasm. The SDK is\n" +
	"in `vendor/`, so nothing is downloaded. `go doc github.com/edgehold/edgehold/sdk/go/workload` explains the rest."

var forms = map[toolchain.Language]form{
	toolchain.Go: {title: "Go", about: aboutGo, files: policyFiles},
	toolchain.TinyGo: {title: "Go, for TinyGo", field: string(toolchain.TinyGo), files: policyFiles, about: aboutGo +
		"\nTinyGo has no `recover`, and much of the standard library makes a module large: `fmt` and `encoding/json` above all."},
	toolchain.Rust: {title: "Rust", files: kitFiles("rust", "vendor/edgehold-policy"), about: "`src/lib.rs` decides, `policy.yaml` says what it sees and may touch, `tests/policy.rs` runs it without Wasm. The SDK is\n" +
		"in `vendor/`, so nothing is downloaded. `cargo doc --open` explains the rest."},
	toolchain.C: {title: "C", files: kitFiles("c", ""), about: "`policy.c` decides, `policy.yaml` says what it sees and may touch. The SDK is `edgehold.h`, whose comments explain the rest."},
	toolchain.AssemblyScript: {title: "AssemblyScript", files: kitFiles("assemblyscript", "edgehold"), about: "`assembly/index.ts` decides, `policy.yaml` says what it sees and may touch. The SDK is in `edgehold/`. The compiler comes with\n" +
		"`npm ci`, in the exact version of `package-lock.json`; that needs the network once."},
}

// ParseLanguage reads the name of a language, as --lang has it.
func ParseLanguage(text string) (toolchain.Language, error) {
	if l := toolchain.Language(text); slices.Contains(toolchain.Languages, l) {
		return l, nil
	}
	return "", &Error{"choose a language", "scaffold.language", "there is no language " + text, "use one of " + languageList(), nil}
}

func languageList() string {
	names := make([]string, len(toolchain.Languages))
	for i, l := range toolchain.Languages {
		names[i] = string(l)
	}
	return strings.Join(names, ", ")
}

// Language tells in which language the project in dir is: what its policy.yaml says, else what its files show.
func Language(dir string) (toolchain.Language, error) {
	attempt := "find the language of the project in " + dir
	text, err := readManifestFile(dir, attempt)
	if err != nil {
		return "", err
	}
	if said, err := plugins.ParseLanguage(text); err == nil && said != "" {
		return ParseLanguage(said)
	}
	if l, ok := toolchain.Detect(dir); ok {
		return l, nil
	}
	return "", &Error{attempt, "scaffold.no-sources", "there are no sources of a language that policies are written in",
		"write one, or let policy.yaml name its `language`: " + languageList(), nil}
}

func readManifestFile(dir, attempt string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, &Error{attempt, "scaffold.no-manifest", err.Error(),
			"run this in a policy's project; `edgehold policy new NAME` writes one", err}
	}
	return text, nil
}
