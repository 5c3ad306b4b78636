package toolchain

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// FindTinyGo finds TinyGo: $EDGEHOLD_TINYGO, else in PATH, else where install-toolchains put it.
func FindTinyGo() (string, error) {
	if tool := os.Getenv("EDGEHOLD_TINYGO"); tool != "" {
		return tool, nil
	}
	if tool, err := first("tinygo", filepath.Join(Folder(), "tinygo", "bin", "tinygo")); err == nil {
		return tool, nil
	}
	return "", &Missing{TinyGo, "program tinygo",
		"install TinyGo 0.41 or newer, or let EDGEHOLD_TINYGO name the program; cmd/internal/e2e/install-toolchains in Edgehold's sources does it"}
}

func findGo() (string, error) {
	tool, err := first("go")
	if err != nil {
		return "", &Missing{Go, "program go", "install Go, and see that it is in the PATH"}
	}
	return tool, nil
}

// findClang finds a C compiler that makes Wasm, and its linker.
func findClang() (clang, linker string, err error) {
	const hint = "install clang and lld, version 15 or newer (on Debian the packages clang-19 and lld-19)"
	if clang, err = first("clang-19", "clang"); err != nil {
		return "", "", &Missing{C, "program clang", hint}
	}
	if linker, err = first("wasm-ld-19", "wasm-ld"); err != nil {
		return "", "", &Missing{C, "program wasm-ld", hint}
	}
	return clang, linker, nil
}

const rustTarget = "wasm32-unknown-unknown"

// FindCargo finds a cargo that can build for Wasm.
func FindCargo() (string, error) {
	const hint = "install Rust 1.88 or newer with rustup, then run: rustup target add " + rustTarget
	if tool, err := first(filepath.Join(Folder(), "rust", "bin", "cargo")); err == nil {
		return tool, nil
	}
	tool, err := first("cargo")
	if err != nil {
		return "", &Missing{Rust, "program cargo", hint}
	}
	sysroot, err := exec.Command("rustc", "--print", "sysroot").Output()
	if err != nil {
		return "", &Missing{Rust, "working rustc: " + err.Error(), hint}
	}
	std := filepath.Join(strings.TrimSpace(string(sysroot)), "lib", "rustlib", rustTarget, "lib", "libcore-*.rlib")
	if found, _ := filepath.Glob(std); len(found) == 0 {
		return "", &Missing{Rust, "standard library for " + rustTarget, hint}
	}
	return tool, nil
}

// findAssemblyScript finds node, and the compiler: the project's own, else that of install-toolchains.
func findAssemblyScript(dir string) (node, compiler string, err error) {
	const hint = "install Node.js 20 or newer, and run npm ci in the project"
	if node, err = first("node", "nodejs"); err != nil {
		return "", "", &Missing{AssemblyScript, "program node", hint}
	}
	for _, root := range []string{dir, filepath.Join(Folder(), "assemblyscript")} {
		compiler = filepath.Join(root, "node_modules", "assemblyscript", "bin", "asc.js")
		if _, err := os.Stat(compiler); err == nil {
			compiler, err = filepath.Abs(compiler)
			return node, compiler, err
		}
	}
	return "", "", &Missing{AssemblyScript, "compiler asc", hint}
}

// first finds the first of some programs, by name in PATH or by path.
func first(names ...string) (string, error) {
	var err error
	for _, name := range names {
		var tool string
		if tool, err = exec.LookPath(name); err == nil {
			return filepath.Abs(tool)
		}
	}
	return "", err
}
