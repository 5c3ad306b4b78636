package toolchain

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Build compiles the project in dir into the module out, without a manifest. The same sources and compiler give the same
// bytes, wherever they lie. The errors are [*Missing] and [*Failed].
func Build(ctx context.Context, l Language, dir, out string) error {
	return build(ctx, l, dir, out, false)
}

// BuildDebug is [Build] with the names of functions and, where the compiler can, with lines of the sources: the module is
// larger, and what it does is the same.
func BuildDebug(ctx context.Context, l Language, dir, out string) error {
	return build(ctx, l, dir, out, true)
}

func build(ctx context.Context, l Language, dir, out string, debug bool) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	switch l {
	case Go:
		return buildGo(ctx, dir, out, debug)
	case TinyGo:
		return buildTinyGo(ctx, dir, out, debug)
	case Rust:
		return buildRust(ctx, dir, out, debug)
	case C:
		return buildC(ctx, dir, out, debug)
	case AssemblyScript:
		return buildAssemblyScript(ctx, dir, out, debug)
	}
	return &Missing{l, "such language", "use one of go, tinygo, rust, c and assemblyscript"}
}

// run runs a compiler in dir and returns what it wrote to its standard output.
func run(ctx context.Context, l Language, dir string, env []string, tool string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	c := exec.CommandContext(ctx, tool, args...)
	c.Dir, c.Env, c.Stdout, c.Stderr = dir, append(os.Environ(), env...), &stdout, &stderr
	if err := c.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		text := strings.TrimSpace(stderr.String())
		if text == "" {
			text = strings.TrimSpace(stdout.String())
		}
		return nil, &Failed{l, text, err}
	}
	return stdout.Bytes(), nil
}

// goEnvironment keeps what the user's environment says about caches, and nothing that would change the result.
var goEnvironment = []string{"GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0"}

func buildGo(ctx context.Context, dir, out string, debug bool) error {
	tool, err := findGo()
	if err != nil {
		return err
	}
	linkFlags := "-ldflags=-s -w -buildid="
	if debug {
		linkFlags = "-ldflags=-buildid="
	}
	_, err = run(ctx, Go, dir, append(slices.Clone(goEnvironment), "GOOS=wasip1", "GOARCH=wasm"), tool,
		"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", linkFlags, "-o", out, ".")
	return err
}

// TinyGoFlags are what `tinygo build` needs. The collector has to be named, since the target's own default never frees; the target
// imports nothing but the host.
var TinyGoFlags = []string{"-target=wasm-unknown", "-gc=precise", "-opt=z", "-no-debug"}

func buildTinyGo(ctx context.Context, dir, out string, debug bool) error {
	tool, err := FindTinyGo()
	if err != nil {
		return err
	}
	flags := TinyGoFlags
	if debug {
		flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "-no-debug" })
	}
	_, err = run(ctx, TinyGo, dir, goEnvironment, tool, slices.Concat([]string{"build"}, flags, []string{"-o", out, "."})...)
	return err
}

// buildRust leaves the flags to the project's .cargo/config.toml.
func buildRust(ctx context.Context, dir, out string, debug bool) error {
	tool, err := FindCargo()
	if err != nil {
		return err
	}
	environment := cargoTarget()
	if debug { // RUSTFLAGS takes the place of those in .cargo/config.toml, which strip
		environment = append(environment, "CARGO_PROFILE_RELEASE_DEBUG=line-tables-only", "CARGO_PROFILE_RELEASE_STRIP=none", "RUSTFLAGS="+rustStack)
	}
	text, err := run(ctx, Rust, dir, environment, tool, "build", "--release", "--locked", "--target", rustTarget, "--message-format=json-render-diagnostics")
	if err != nil {
		return err
	}
	module, err := rustModule(text)
	if err != nil {
		return &Failed{Rust, "Cargo.toml needs [lib] with crate-type = [\"cdylib\"]", err}
	}
	if debug { // shrinking loses the names
		return copyFile(out, module)
	}
	return shrink(ctx, module, out)
}

// shrink passes a module of LLVM through wasm-opt, where that is installed, as clang does by itself. It takes off a tenth.
func shrink(ctx context.Context, module, out string) error {
	tool, err := first("wasm-opt")
	if err != nil {
		return copyFile(out, module)
	}
	_, err = run(ctx, Rust, "", nil, tool, "-Oz", "--enable-bulk-memory", "--enable-nontrapping-float-to-int", "--enable-sign-ext",
		"--enable-mutable-globals", "-o", out, module)
	return err
}

// rustStack is the stack of the template's .cargo/config.toml.
const rustStack = "-Clink-arg=-zstack-size=16384"

// rustModule finds the module among the artefacts that cargo reports.
func rustModule(report []byte) (string, error) {
	lines := bufio.NewScanner(bytes.NewReader(report))
	lines.Buffer(nil, 16<<20)
	found := ""
	for lines.Scan() {
		var artefact struct{ Filenames []string }
		if json.Unmarshal(lines.Bytes(), &artefact) != nil {
			continue
		}
		for _, name := range artefact.Filenames {
			if strings.HasSuffix(name, ".wasm") {
				found = name
			}
		}
	}
	if found == "" {
		return "", errors.New("the project makes no module")
	}
	return found, lines.Err()
}

// cFlags: no library and no start files; a small stack, at the bottom of the memory, so that an overflow traps.
var (
	cFlags = []string{
		"--target=wasm32", "-std=c99", "-Oz", "-ffreestanding", "-fwrapv", "-mbulk-memory", "-mnontrapping-fptoint",
		"-Wall", "-Wextra", "-Werror=implicit-function-declaration", "-nostdlib",
	}
	cLinkFlags      = "-Wl,--no-entry,-z,stack-size=16384,--stack-first,-O2,--strip-all,--compress-relocations"
	cDebugLinkFlags = "-Wl,--no-entry,-z,stack-size=16384,--stack-first,-O2"
)

func buildC(ctx context.Context, dir, out string, debug bool) error {
	clang, linker, err := findClang()
	if err != nil {
		return err
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil {
		return err
	}
	for i, path := range sources {
		sources[i] = filepath.Base(path)
	}
	flags, env := []string{cLinkFlags}, []string(nil)
	if debug { // wasm-opt, which clang calls where it finds it, would lose the lines
		flags, env = []string{"-g", "-fdebug-compilation-dir=.", cDebugLinkFlags}, []string{"PATH="}
	}
	_, err = run(ctx, C, dir, env, clang, slices.Concat(cFlags, []string{"-fuse-ld=" + linker, "-o", out}, flags, sources)...)
	return err
}

const assemblyEntry = "assembly/index.ts"

// assemblyFlags: the collector has to be the incremental one, since the smaller ones never free by themselves; without abort the
// module imports nothing but the host.
var assemblyFlags = []string{"-O3z", "--noAssert", "--runtime", "incremental", "--use", "abort=", "--exportStart", "_initialize"}

func buildAssemblyScript(ctx context.Context, dir, out string, debug bool) error {
	if debug {
		return compileAssemblyScript(ctx, dir, assemblyEntry, out, "--debug")
	}
	return compileAssemblyScript(ctx, dir, assemblyEntry, out)
}

// CompileAssemblyScript is Build for a file of dir that is not a policy's entry.
func CompileAssemblyScript(ctx context.Context, dir, entry, out string) error {
	return compileAssemblyScript(ctx, dir, entry, out)
}

func compileAssemblyScript(ctx context.Context, dir, entry, out string, flags ...string) error {
	node, compiler, err := findAssemblyScript(dir)
	if err != nil {
		return err
	}
	_, err = run(ctx, AssemblyScript, dir, nil, node, slices.Concat([]string{compiler, entry}, assemblyFlags, flags, []string{"-o", out})...)
	return err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
