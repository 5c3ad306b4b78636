package wasm_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
)

const head = "\x00asm\x01\x00\x00\x00"

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ name, module, want string }{
		{"empty", "", "magic header"},
		{"version 2", "\x00asm\x02\x00\x00\x00", "unknown binary version"},
		{"component", "\x00asm\x0d\x00\x01\x00", "component model not supported"},
		{"section beyond the end", head + "\x01\x05\x01", "length out of bounds"},
		{"section too long", head + "\x01\x02\x00\x00", "section size mismatch"},
		{"unknown section", head + "\x20\x00", "malformed section id"},
		{"tag section", head + "\x0d\x01\x00", "exception handling not supported"},
		{"twice", head + "\x01\x01\x00\x01\x01\x00", "unexpected content"},
		{"out of order", head + "\x03\x01\x00\x01\x01\x00", "unexpected content"},
		{"number too long", head + "\x01\x81\x80\x80\x80\x80\x00\x00", "integer representation too long"},
		{"number too large", head + "\x01\x81\x80\x80\x80\x10\x00", "integer too large"},
		{"count beyond the end", head + "\x01\x05\xff\xff\xff\x7f\x60", "types"},
		{"type form", head + "\x01\x04\x01\x61\x00\x00", "malformed type form"},
		{"value type", head + "\x01\x05\x01\x60\x01\x11\x00", "malformed value type"},
		{"struct type", head + "\x01\x04\x01\x5f\x00\x00", "garbage collection"},
		{"shared memory", head + "\x05\x04\x01\x03\x01\x01", "threads"},
		{"64-bit memory", head + "\x05\x03\x01\x04\x01", "64-bit memory"},
		{"name not UTF-8", head + "\x00\x02\x01\xff", "malformed UTF-8"},
		{"export twice", head + "\x07\x07\x02\x00\x00\x00\x00\x00\x00", "duplicate export"},
		{"import kind", head + "\x02\x05\x01\x00\x00\x05\x00", "malformed import kind"},
		{"mutability", head + "\x06\x06\x01\x7f\x02\x41\x00\x0b", "malformed mutability"},
		{"two constants", head + "\x06\x08\x01\x7f\x00\x41\x00\x41\x00\x0b", "one instruction"},
		{"no constant", head + "\x06\x05\x01\x7f\x00\x01\x0b", "constant expression required"},
		{"functions without code", head + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00", "inconsistent lengths"},
		{"data count", head + "\x0c\x01\x03", "inconsistent lengths"},
		{"body without end", head + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x05\x01\x03\x00\x01\x01", "end of function"},
		{"very many locals", head + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b", "locals"},
		{"element kind", head + "\x09\x05\x01\x08\x00\x00\x00", "malformed elements segment kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := wasm.Decode([]byte(c.module), wasm.MaxCaps())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestDecodeHonoursCaps(t *testing.T) {
	module := wasmtest.FunctionsBomb(10)
	caps := wasm.MaxCaps()
	caps.Functions = 5
	_, err := wasm.Decode(module, caps)
	limit, ok := errors.AsType[*wasm.LimitError](err)
	if !ok || limit.What != "functions" || limit.Got != 13 || limit.Max != 5 {
		t.Errorf("got %v", err)
	}
}

func TestDecodeCostsWhatTheInputPaysFor(t *testing.T) {
	// Each section claims the most that its count can hold, and nothing follows.
	for id := range byte(13) {
		module := append([]byte(head), id, 5, 0xff, 0xff, 0xff, 0xff, 0x0f)
		allocated := testing.AllocsPerRun(5, func() { _, _ = wasm.Decode(module, wasm.MaxCaps()) })
		if allocated > 20 {
			t.Errorf("section %d: %v allocations for a count without contents", id, allocated)
		}
	}
}

func TestEncodeAfterDecodeIsTheSame(t *testing.T) {
	for name, module := range map[string][]byte{
		"clock": wasmtest.Clock(), "table": wasmtest.EndlessIndirectRecursion(), "start": wasmtest.TrapInStart(),
		"globals": wasmtest.Counter(), "manifest": wasmtest.WithManifest([]byte("m")), "many": wasmtest.TypesBomb(300),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := wasm.Decode(module, wasm.MaxCaps())
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.Encode(), module) {
				t.Error("bytes changed")
			}
		})
	}
}

func TestElementForms(t *testing.T) {
	number := wasm.ConstExpr{Op: wasm.OpI32Const, Bits: [2]uint64{7}}
	null := []wasm.ConstExpr{{Op: wasm.OpRefNull, Index: uint32(wasm.FuncRef)}, {Op: wasm.OpRefFunc, Index: 3}}
	indices := []uint32{1, 200, 3}
	want := []wasm.Element{
		{Type: wasm.FuncRef, Offset: number, Functions: indices},
		{Type: wasm.FuncRef, Mode: wasm.Passive, Functions: indices},
		{Type: wasm.FuncRef, Offset: number, Explicit: true, Table: 5, Functions: indices},
		{Type: wasm.FuncRef, Mode: wasm.Declarative, Functions: indices},
		{Type: wasm.FuncRef, Offset: number, ByExpr: true, Exprs: null},
		{Type: wasm.ExternRef, Mode: wasm.Passive, ByExpr: true, Exprs: null[:1]},
		{Type: wasm.FuncRef, Offset: number, Explicit: true, ByExpr: true, Exprs: null},
		{Type: wasm.FuncRef, Mode: wasm.Declarative, ByExpr: true, Exprs: null},
	}
	m, err := wasm.Decode((&wasm.Module{Elements: want}).Encode(), wasm.MaxCaps())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, m.Elements); d != "" {
		t.Error(d)
	}
}

func TestRenumberNames(t *testing.T) {
	section := []byte("\x00\x02\x01m" + "\x01\x07\x02\x00\x01a\x02\x01c" + "\x02\x06\x01\x02\x01\x00\x01x" + "\x09\x01\x00")
	shift := func(f uint32) uint32 {
		if f >= 1 {
			return f + 1
		}
		return f
	}
	got, err := wasm.RenumberNames(section, shift, []wasm.Name{{Index: 1, Name: "in"}, {Index: 9, Name: "out"}})
	if err != nil {
		t.Fatal(err)
	}
	want := "\x00\x02\x01m" + "\x01\x10\x04\x00\x01a\x01\x02in\x03\x01c\x09\x03out" + "\x02\x06\x01\x03\x01\x00\x01x" + "\x09\x01\x00"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRenumberNamesRefusesWhatIsNotThere(t *testing.T) {
	for name, section := range map[string]string{
		"module name longer than its subsection": "\x00\x02\xff\x01",
		"bytes behind the module name":           "\x00\x03\x01ma",
		"functions that are not there":           "\x01\x05\xff\xff\xff\xff\x0f",
		"locals that are not there":              "\x02\x07\x01\x00\xff\xff\xff\xff\x0f",
		"subsection that is not there":           "\x01\x7f\x00",
		"bytes behind the functions":             "\x01\x05\x01\x00\x01a\x00",
	} {
		if _, err := wasm.RenumberNames([]byte(section), func(f uint32) uint32 { return f }, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzRenumberNames(f *testing.F) {
	f.Add([]byte("\x00\x02\x01m\x01\x07\x02\x00\x01a\x02\x01c\x02\x06\x01\x02\x01\x00\x01x\x09\x01\x00"))
	f.Fuzz(func(t *testing.T, section []byte) {
		same := func(f uint32) uint32 { return f }
		out, err := wasm.RenumberNames(section, same, nil)
		if err != nil {
			return
		}
		if again, err := wasm.RenumberNames(out, same, nil); err != nil || !bytes.Equal(out, again) {
			t.Errorf("own output changes: %v", err)
		}
	})
}

// TestSpecModules reads every binary of the WebAssembly core tests: what is valid or merely ill-typed must be read and
// written back to the same meaning, what is malformed must be refused.
func TestSpecModules(t *testing.T) {
	count := map[string]int{}
	for _, folder := range []string{"v1", "v2"} {
		for _, script := range specScripts(t, folder) {
			for _, c := range readCommands(t, script) {
				if !strings.HasSuffix(c.Filename, ".wasm") || c.Type == "assert_unlinkable" {
					continue
				}
				module, err := os.ReadFile(filepath.Join(filepath.Dir(script), c.Filename))
				if err != nil {
					t.Fatal(err)
				}
				err = readWhole(module)
				switch {
				case c.Type == "assert_malformed" && err == nil && !notOurs(c.Text):
					t.Errorf("%s: accepted, want %q", c.Filename, c.Text)
				case c.Type == "module" && err != nil:
					t.Errorf("%s: %v", c.Filename, err)
				}
				count[c.Type]++
			}
		}
	}
	t.Log(count)
}

// notOurs are complaints that need the context of a module, or that later versions of the specification dropped.
func notOurs(text string) bool {
	return slices.Contains([]string{"data count section required", "zero flag expected"}, text)
}

type command struct {
	Type     string `json:"type"`
	Filename string `json:"filename"`
	Text     string `json:"text"`
}

func specScripts(t *testing.T, folder string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Skipf("needs the go command and wazero's module on disk: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest", folder, "testdata")
	scripts, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if len(scripts) == 0 {
		t.Skipf("needs the WebAssembly core tests in %s", dir)
	}
	return scripts
}

func readCommands(t *testing.T, script string) []command {
	t.Helper()
	raw, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Commands []command `json:"commands"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s.Commands
}

// readWhole decodes a module with all its instructions, and checks that writing it loses nothing.
func readWhole(module []byte) error {
	m, err := wasm.Decode(module, wasm.MaxCaps())
	if err != nil {
		return err
	}
	for _, b := range m.Bodies {
		it := wasm.NewCode(b.Code, 0, len(b.Code))
		open := 1
		for in := (wasm.Instruction{}); it.Next(&in); {
			switch in.Op {
			case wasm.OpBlock, wasm.OpLoop, wasm.OpIf:
				open++
			case wasm.OpEnd:
				open--
			}
		}
		if it.Err() != nil {
			return it.Err()
		}
		if open != 0 {
			return errors.New("unbalanced blocks")
		}
	}
	again, err := wasm.Decode(m.Encode(), wasm.MaxCaps())
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(m, again) {
		return errors.New("changed by writing: " + cmp.Diff(m, again, cmp.AllowUnexported(wasm.Module{})))
	}
	return nil
}

func FuzzDecode(f *testing.F) {
	for _, module := range [][]byte{
		wasmtest.Clock(), wasmtest.Counter(), wasmtest.EndlessIndirectRecursion(), wasmtest.TrapInStart(), wasmtest.JoinBomb(2, 2),
		wasmtest.BranchTablesBomb(3), wasmtest.WithManifest([]byte("m")), []byte(head + "\x01\x81\x80\x80\x80\x10\x00"),
	} {
		f.Add(module)
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := wasm.Decode(module, wasm.MaxCaps())
		if err != nil {
			return
		}
		for _, b := range m.Bodies {
			it := wasm.NewCode(b.Code, 0, len(b.Code))
			for in := (wasm.Instruction{}); it.Next(&in); {
				if in.End <= in.Start || in.End > len(b.Code) {
					t.Fatalf("instruction from %d to %d in %d bytes", in.Start, in.End, len(b.Code))
				}
			}
		}
		again, err := wasm.Decode(m.Encode(), wasm.MaxCaps())
		if err != nil {
			t.Fatalf("own output is refused: %v", err)
		}
		if !bytes.Equal(again.Encode(), m.Encode()) {
			t.Error("written twice, it differs")
		}
	})
}
