package scaffold

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// form is what a language's projects look like.
type form struct {
	title  string            // as people write it
	about  map[string]string // for the project's README, by kind; what is not there can't be written in the language
	field  string            // what policy.yaml has to say, since the files do not
	memory string            // what a workload asks for
	files  func(p parameters, o Options) (map[string][]byte, error)
}

const inVendor = "The SDK is\nin `vendor/`, so nothing is downloaded. "

var aboutGo = map[string]string{
	wasmabi.KindPolicy: "`policy.go` decides, `policy.yaml` says what it sees and may touch, `policy_test.go` runs it without Wasm. " + inVendor +
		"`go doc github.com/edgehold/edgehold/sdk/go/policy` explains the rest.",
	wasmabi.KindWorkload: "`workload.go` computes, `policy.yaml` says what goes in and out and what it may read, `workload_test.go` runs it without Wasm. " + inVendor +
		"`go doc github.com/edgehold/edgehold/sdk/go/workload` explains the rest.",
}

const aboutTinyGo = "\nTinyGo has no `recover`, and much of the standard library makes a module large: `fmt` and `encoding/json` above all."

var forms = map[toolchain.Language]form{
	toolchain.Go: {title: "Go", memory: "16MiB", about: aboutGo, files: goFiles},
	toolchain.TinyGo: {title: "Go, for TinyGo", field: string(toolchain.TinyGo), memory: "192KiB", files: goFiles, about: map[string]string{
		wasmabi.KindPolicy: aboutGo[wasmabi.KindPolicy] + aboutTinyGo, wasmabi.KindWorkload: aboutGo[wasmabi.KindWorkload] + aboutTinyGo,
	}},
	toolchain.Rust: {title: "Rust", memory: "64KiB", files: kitFiles("rust", "vendor/edgehold-policy"), about: map[string]string{
		wasmabi.KindPolicy: "`src/lib.rs` decides, `policy.yaml` says what it sees and may touch, `tests/policy.rs` runs it without Wasm. " + inVendor +
			"`cargo doc --open` explains the rest.",
		wasmabi.KindWorkload: "`src/lib.rs` computes, `policy.yaml` says what goes in and out and what it may read, `tests/workload.rs` runs it without Wasm. " + inVendor +
			"`cargo doc --open` explains the rest.",
	}},
	toolchain.C: {title: "C", memory: "64KiB", files: kitFiles("c", ""), about: map[string]string{
		wasmabi.KindPolicy: "`policy.c` decides, `policy.yaml` says what it sees and may touch. The SDK is `edgehold.h`, whose comments explain the rest.",
		wasmabi.KindWorkload: "`workload.c` computes, `policy.yaml` says what goes in and out and what it may read. The SDK is `edgehold_workload.h`, whose comments\n" +
			"explain the rest, on top of `edgehold.h`.",
	}},
	toolchain.AssemblyScript: {title: "AssemblyScript", files: kitFiles("assemblyscript", "edgehold"), about: map[string]string{
		wasmabi.KindPolicy: "`assembly/index.ts` decides, `policy.yaml` says what it sees and may touch. The SDK is in `edgehold/`. The compiler comes with\n" +
			"`npm ci`, in the exact version of `package-lock.json`; that needs the network once.",
	}},
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
