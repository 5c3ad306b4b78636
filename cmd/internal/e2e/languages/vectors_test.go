package languages

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

const flat = "../../../../wasmabi/testdata/vectors/flat.txt"

// The header's own test runs natively under sanitizers: nothing is read or written past a message or a buffer.
func TestVectorsInC(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program")
	}
	gcc, err := exec.LookPath("gcc")
	pluginstest.Need(t, err)
	program := filepath.Join(t.TempDir(), "vectors")
	text, err := exec.Command(gcc, "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-g",
		"-fsanitize=address,undefined", "-fno-sanitize-recover", "-o", program, "../../../../sdk/c/test/vectors.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	vectors, err := os.Open(flat)
	must(t, err)
	defer vectors.Close()
	c := exec.Command(program)
	c.Stdin = vectors
	if text, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestVectorsInAssemblyScript(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	dir, module := filepath.Join(sdk, "assemblyscript"), filepath.Join(t.TempDir(), "vectors.wasm")
	pluginstest.Need(t, toolchain.CompileAssemblyScript(t.Context(), dir, "test/vectors.ts", module))
	if text, err := exec.Command("node", filepath.Join(dir, "test", "vectors.mjs"), module, flat).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}

// Go's codec is held against the vectors by its own tests; here it is compiled for Wasm, by both compilers.
func TestVectorsInGoGuests(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	for _, l := range []toolchain.Language{toolchain.Go, toolchain.TinyGo} {
		t.Run(string(l), func(t *testing.T) {
			module, err := pluginstest.Project(l, "codec")
			pluginstest.Need(t, err)
			m := prepare(t, pluginstest.Pack(t, example, module)) // any manifest will do
			for _, line := range vectorLines(t) {
				checkCodec(t, m, line)
			}
		})
	}
}

func vectorLines(t *testing.T) []string {
	text, err := os.ReadFile(flat)
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) < 20 {
		t.Fatalf("there are only %d vectors", len(lines))
	}
	return lines
}

// checkCodec has the guest decode a message and encode it again.
func checkCodec(t *testing.T, m *host.Module, line string) {
	t.Helper()
	words := strings.SplitN(line, " ", 4)
	message, name, want := words[0], words[1], unhex(t, words[2])
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1, 0)})
	must(t, err)
	defer s.Close()
	got, err := s.Call(t.Context(), wasmabi.OpAnalyze, append([]byte(message+"\x00"), want...))
	var failed *host.CallError
	switch {
	case words[3] == "refused":
		if !errors.As(err, &failed) || failed.Kind == host.Trap {
			t.Errorf("%s was not refused: %x, %v", name, got, err)
		}
	case err != nil || !bytes.Equal(got, want):
		t.Errorf("%s: got %x, %v", name, got, err)
	}
}

func unhex(t *testing.T, text string) []byte {
	b, err := hex.DecodeString(text)
	must(t, err)
	return b
}
