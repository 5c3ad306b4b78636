package scaffold

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// ManifestFile is the manifest's name in a project.
const ManifestFile = "policy.yaml"

// BuildOptions are what Build can vary.
type BuildOptions struct {
	TinyGo bool // compile with TinyGo, which has to be installed
}

// Built describes a module that was written.
type Built struct {
	Path     string
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
	module, err := compile(ctx, dir, attempt, o)
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
	if err := replaceFile(out, packed); err != nil {
		return nil, &Error{attempt, "scaffold.write", err.Error(), "check the folder's rights and the space on its disk", err}
	}
	sum := sha256.Sum256(packed)
	return &Built{Path: out, Bytes: len(packed), Digest: "sha256:" + hex.EncodeToString(sum[:]), Manifest: manifest}, nil
}

func readManifest(dir, attempt string) (*wasmabi.Manifest, error) {
	text, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, &Error{attempt, "scaffold.no-manifest", err.Error(),
			"run this in a policy's project; `edgehold policy new NAME` writes one", err}
	}
	return plugins.ParseManifest(text)
}

// compile returns the module without its manifest.
func compile(ctx context.Context, dir, attempt string, o BuildOptions) ([]byte, error) {
	temporary, err := os.MkdirTemp("", "edgehold-build-")
	if err != nil {
		return nil, &Error{attempt, "scaffold.write", err.Error(), "check the space in the folder for temporary files", err}
	}
	defer os.RemoveAll(temporary)
	out := filepath.Join(temporary, "policy.wasm")
	command, err := compiler(ctx, dir, out, attempt, o)
	if err != nil {
		return nil, err
	}
	if text, err := command.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Error{attempt, "scaffold.compile", "the compiler refused the sources:\n" + strings.TrimSpace(string(text)),
			"correct the lines that it names", err}
	}
	return os.ReadFile(out)
}

func compiler(ctx context.Context, dir, out, attempt string, o BuildOptions) (*exec.Cmd, error) {
	if o.TinyGo {
		return tinyGo(ctx, dir, out, attempt)
	}
	tool, err := goTool(ctx, attempt)
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, tool, "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false",
		"-ldflags=-s -w -buildid=", "-o", out, ".")
	c.Dir = dir
	c.Env = append(goEnvironment(), "GOOS=wasip1", "GOARCH=wasm")
	return c, nil
}

func tinyGo(ctx context.Context, dir, out, attempt string) (*exec.Cmd, error) {
	tool, err := toolchain.FindTinyGo()
	if err != nil {
		return nil, &Error{attempt, "scaffold.no-tinygo", "there is no program tinygo",
			"install TinyGo 0.41 or newer, or build without it", err}
	}
	c := exec.CommandContext(ctx, tool, slices.Concat([]string{"build"}, toolchain.TinyGoFlags, []string{"-o", out, "."})...)
	c.Dir = dir
	c.Env = goEnvironment()
	return c, nil
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

// replaceFile writes beside the file and renames, so that a failure leaves what was there.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".edgehold-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if e := f.Chmod(0o644); err == nil {
		err = e
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
