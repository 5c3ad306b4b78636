package scaffold

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// ManifestFile is the manifest's name in a project.
const ManifestFile = "policy.yaml"

// BuildOptions are what Build can vary.
type BuildOptions struct {
	Language toolchain.Language // what the project says or shows, when empty
	Debug    bool               // keep names and line numbers
}

// Built describes a module that was written.
type Built struct {
	Path     string
	Language toolchain.Language
	Bytes    int
	Digest   string // "sha256:" and hexadecimal digits
	Manifest *wasmabi.Manifest
}

// Build compiles the project in dir, packs its policy.yaml, and writes the module to out; when out is empty, to
// NAME.wasm in dir. The same sources and compiler give the same bytes.
func Build(ctx context.Context, dir, out string, o BuildOptions) (*Built, error) {
	attempt := "build policy in " + dir
	manifest, err := readManifest(dir, attempt)
	if err != nil {
		return nil, err
	}
	language := o.Language
	if language == "" {
		if language, err = Language(dir); err != nil {
			return nil, err
		}
	}
	module, err := compile(ctx, language, dir, attempt, o.Debug)
	if err != nil {
		return nil, err
	}
	packed, err := plugins.Pack(module, manifest)
	if err != nil {
		return nil, &Error{attempt, "scaffold.pack", err.Error(), "", err}
	}
	if out == "" {
		out = filepath.Join(dir, manifest.Name+".wasm")
	}
	if err := store.ReplaceFile(out, packed, 0o644); err != nil {
		return nil, &Error{attempt, "scaffold.write", err.Error(), "check the folder's rights and the space on its disk", err}
	}
	return &Built{Path: out, Language: language, Bytes: len(packed), Digest: store.Digest(packed), Manifest: manifest}, nil
}

func readManifest(dir, attempt string) (*wasmabi.Manifest, error) {
	text, err := readManifestFile(dir, attempt)
	if err != nil {
		return nil, err
	}
	return plugins.ParseManifest(text)
}

// compile returns the module without its manifest.
func compile(ctx context.Context, l toolchain.Language, dir, attempt string, debug bool) ([]byte, error) {
	if l == toolchain.Go {
		if _, err := goTool(ctx, attempt); err != nil {
			return nil, err
		}
	}
	temporary, err := os.MkdirTemp("", "edgehold-build-")
	if err != nil {
		return nil, &Error{attempt, "scaffold.write", err.Error(), "check the space in the folder for temporary files", err}
	}
	defer os.RemoveAll(temporary)
	out := filepath.Join(temporary, "policy.wasm")
	build := toolchain.Build
	if debug {
		build = toolchain.BuildDebug
	}
	if err := build(ctx, l, dir, out); err != nil {
		return nil, explain(ctx, l, attempt, err)
	}
	return os.ReadFile(out)
}

// explain makes what a compiler said, or that there is none, an error for a person.
func explain(ctx context.Context, l toolchain.Language, attempt string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if missing, ok := errors.AsType[*toolchain.Missing](err); ok {
		return &Error{attempt, "scaffold.no-" + string(l), missing.ErrorWhy(), missing.ErrorHint(), err}
	}
	if failed, ok := errors.AsType[*toolchain.Failed](err); ok {
		return &Error{attempt, "scaffold.compile", failed.ErrorWhy(), failed.ErrorHint(), err}
	}
	return &Error{attempt, "scaffold.compile", err.Error(), "check the space in the folder for temporary files", err}
}

// goEnvironment keeps what the user's environment says about caches, and nothing that would change the result.
func goEnvironment() []string {
	return append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
}

// goTool finds a Go that is new enough.
func goTool(ctx context.Context, attempt string) (string, error) {
	hint := "install Go " + GoVersion + " or newer, and see that it is in the PATH"
	tool, err := exec.LookPath("go")
	if err != nil {
		return "", &Error{attempt, "scaffold.no-go", "there is no program go", hint, err}
	}
	c := exec.CommandContext(ctx, tool, "env", "GOVERSION")
	c.Env = goEnvironment()
	text, err := c.Output()
	if err != nil {
		return "", &Error{attempt, "scaffold.no-go", tool + " does not run: " + err.Error(), hint, err}
	}
	version := string(bytes.TrimSpace(text))
	if !newEnough(version) {
		return "", &Error{attempt, "scaffold.old-go", "Go is " + version, hint, nil}
	}
	return tool, nil
}
