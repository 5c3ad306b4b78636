package host

import (
	"fmt"
	"runtime"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/cpu"

	"github.com/edgehold/edgehold/host/internal/compile"
)

// String returns the engine's name.
func (e Engine) String() string {
	switch e {
	case Auto:
		return "auto"
	case Compiler:
		return "compiler"
	case Interpreter:
		return "interpreter"
	}
	return fmt.Sprintf("engine-%d", uint8(e))
}

// engineConfig returns the engine's configuration and which one Auto came to be.
func engineConfig(e Engine) (c wazero.RuntimeConfig, kind Engine, err error) {
	if e == Interpreter {
		return compile.EngineConfig(wazero.NewRuntimeConfigInterpreter()), Interpreter, nil
	}
	if compilerSupported() {
		return compile.EngineConfig(wazero.NewRuntimeConfigCompiler()), Compiler, nil
	}
	if e == Compiler {
		return nil, e, fmt.Errorf("there is no WebAssembly compiler for this processor: use engine %s or %s", Auto, Interpreter)
	}
	return compile.EngineConfig(wazero.NewRuntimeConfigInterpreter()), Interpreter, nil
}

// compilerSupported is wazero's own condition, which it does not export: asking it by trying would end in a panic.
func compilerSupported() bool {
	switch runtime.GOOS {
	case "linux", "darwin", "windows", "freebsd", "netbsd", "dragonfly", "solaris", "illumos":
	default:
		return false
	}
	return runtime.GOARCH == "arm64" || runtime.GOARCH == "amd64" && cpu.X86.HasSSE41
}
