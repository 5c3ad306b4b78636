package rewrite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/host/internal/wasm"
)

// The WebAssembly core tests come with wazero's module, as scripts of commands over binaries. Each script runs twice,
// on the modules as they are and instrumented, and every command must end alike.

// specFolders are the parts of the suite inside the features that we accept.
var specFolders = []string{"v1", "v2"}

type specScript struct {
	Commands []specCommand `json:"commands"`
}

type specCommand struct {
	Type     string     `json:"type"`
	Line     int        `json:"line"`
	Name     string     `json:"name"`
	Filename string     `json:"filename"`
	As       string     `json:"as"`
	Action   specAction `json:"action"`
	Text     string     `json:"text"`
	Kind     string     `json:"module_type"`
}

type specAction struct {
	Type   string      `json:"type"`
	Module string      `json:"module"`
	Field  string      `json:"field"`
	Args   []specValue `json:"args"`
}

type specValue struct {
	Type  string          `json:"type"`
	Lane  string          `json:"lane_type"`
	Value json.RawMessage `json:"value"`
}

func TestSpecScriptsBehaveAlike(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the whole WebAssembly core test suite twice")
	}
	count := map[string]int{}
	for _, folder := range specFolders {
		for i, script := range specFiles(t, folder, "*.json") {
			if raceDetector && i%8 != 0 {
				continue // the detector makes this ten times slower, and there is one goroutine
			}
			name := folder + "/" + strings.TrimSuffix(filepath.Base(script), ".json")
			t.Run(name, func(t *testing.T) {
				want, _ := runScript(t, script, false, nil)
				got, _ := runScript(t, script, true, count)
				compareOutcomes(t, want, got)
			})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(count)) {
		t.Logf("%6d %s", count[k], k)
	}
}

// specFiles lists files of the suite.
func specFiles(t testing.TB, folder, pattern string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Skipf("needs the go command and wazero's module on disk: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest", folder, "testdata")
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("needs the WebAssembly core tests in %s", dir)
	}
	return files
}

// outcome is how one command ended.
type outcome struct {
	line    int
	typ     string
	results []uint64
	err     string
}

func compareOutcomes(t *testing.T, want, got []outcome) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d outcomes, want %d", len(got), len(want))
	}
	for i := range want {
		w, g := want[i], got[i]
		if w.typ == "assert_exhaustion" {
			if (w.err == "") != (g.err == "") {
				t.Errorf("line %d: exhaustion: got %q, want %q", w.line, g.err, w.err)
			}
			continue
		}
		if !slices.Equal(w.results, g.results) || w.err != g.err {
			t.Errorf("line %d %s: got %x %q, want %x %q", w.line, w.typ, g.results, g.err, w.results, w.err)
		}
	}
}

// specRun is one run of a script.
type specRun struct {
	ctx        context.Context
	rt         wazero.Runtime
	dir        string
	instrument bool
	registered map[string]api.Module
	named      map[string]api.Module
	last       api.Module
}

func runScript(t *testing.T, file string, instrument bool, count map[string]int) ([]outcome, error) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var script specScript
	if err := json.Unmarshal(raw, &script); err != nil {
		t.Fatal(err)
	}
	r := newSpecRun(t, filepath.Dir(file), instrument)
	defer r.rt.Close(r.ctx)
	var out []outcome
	for _, c := range script.Commands {
		o, ran := r.command(t, c)
		if ran {
			out = append(out, o)
		}
		if count != nil {
			if !ran {
				count["skipped "+c.Type]++
			} else {
				count["ran "+c.Type]++
			}
		}
	}
	return out, nil
}

func newSpecRun(t *testing.T, dir string, instrument bool) *specRun {
	r := &specRun{
		dir: dir, instrument: instrument, registered: map[string]api.Module{}, named: map[string]api.Module{},
	}
	ctx := context.Background()
	r.rt = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig())
	r.ctx = experimental.WithImportResolver(ctx, func(name string) api.Module { return r.registered[name] })
	_, err := r.rt.NewHostModuleBuilder(rewrite.YieldModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(refill), nil, nil).Export(rewrite.YieldName).Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	spectest, err := r.rt.InstantiateWithConfig(ctx, spectestModule(), wazero.NewModuleConfig().WithName("spectest"))
	if err != nil {
		t.Fatal(err)
	}
	r.registered["spectest"] = spectest
	return r
}

// refill is the host's half of the contract: unlimited fuel, no stack beyond the limit.
func refill(_ context.Context, m api.Module, _ []uint64) {
	if int64(m.ExportedGlobal(rewrite.DepthGlobal).Get()) < 0 {
		panic("stack exhausted")
	}
	m.ExportedGlobal(rewrite.FuelGlobal).(api.MutableGlobal).Set(10_000)
}

const specStack = 1 << 20

func (r *specRun) load(file string) (api.Module, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, file))
	if err != nil {
		return nil, err
	}
	if r.instrument {
		if b, err = rewrite.Instrument(b, rewrite.Options{
			MemoryMaxPages: 65536, TableMaxEntries: math.MaxUint32, StackBytes: specStack,
		}); err != nil {
			return nil, err
		}
	}
	m, err := r.rt.InstantiateWithConfig(r.ctx, b, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	if start := m.ExportedFunction(rewrite.StartExport); start != nil {
		_, err = start.Call(r.ctx)
	}
	return m, err
}

func (r *specRun) command(t *testing.T, c specCommand) (o outcome, ran bool) {
	o = outcome{line: c.Line, typ: c.Type}
	switch c.Type {
	case "module", "assert_uninstantiable":
		m, err := r.load(c.Filename)
		o.err = firstLine(err)
		if err != nil && c.Type == "module" {
			t.Errorf("line %d: %s: %v", c.Line, c.Filename, err)
		}
		if c.Type == "module" {
			r.last = m
			r.named[c.Name] = m
		}
		return o, true
	case "register":
		m := r.last
		if c.Name != "" {
			m = r.named[c.Name]
		}
		r.registered[c.As] = m
		return o, true
	case "action", "assert_return", "assert_trap", "assert_exhaustion":
		if c.Action.Type == "" {
			return o, false
		}
		var err error
		o.results, err = r.act(c.Action)
		o.err = firstLine(err)
		if err != nil && (c.Type == "assert_return" || c.Type == "action") {
			t.Errorf("line %d: %v", c.Line, err)
		}
		return o, true
	}
	return o, false // about validation or linking
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	s, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.Index(s, "wasm error:"); i >= 0 {
		s = s[i:]
	}
	return s
}

func (r *specRun) act(a specAction) ([]uint64, error) {
	m := r.last
	if a.Module != "" {
		m = r.named[a.Module]
	}
	if m == nil {
		return nil, fmt.Errorf("no module %q", a.Module)
	}
	if a.Type == "get" {
		return []uint64{m.ExportedGlobal(a.Field).Get()}, nil
	}
	var args []uint64
	for _, v := range a.Args {
		args = append(args, v.bits()...)
	}
	f := m.ExportedFunction(a.Field)
	if f == nil {
		return nil, fmt.Errorf("no function %q", a.Field)
	}
	if depth := m.ExportedGlobal(rewrite.DepthGlobal); depth != nil {
		depth.(api.MutableGlobal).Set(specStack)
	}
	return f.Call(r.ctx, args...)
}

// bits returns the value in the encoding of the engine's API.
func (v specValue) bits() []uint64 {
	if v.Type != "v128" {
		var s string
		_ = json.Unmarshal(v.Value, &s)
		return []uint64{number(s, v.Type)}
	}
	var lanes []string
	_ = json.Unmarshal(v.Value, &lanes)
	width := 128 / len(lanes)
	out := make([]uint64, 2)
	for i, l := range lanes {
		n := number(l, v.Lane)
		if width < 64 {
			n &= 1<<width - 1
		}
		out[i*width/64] |= n << (i * width % 64)
	}
	return out
}

func number(s, typ string) uint64 {
	switch {
	case s == "null":
		return 0
	case s == "nan:canonical" && strings.HasSuffix(typ, "32"):
		return 0x7fc00000
	case strings.HasPrefix(s, "nan:"):
		return 0x7ff8000000000000
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		i, _ := strconv.ParseInt(s, 10, 64)
		n = uint64(i)
	}
	if typ == "externref" {
		n++
	}
	return n
}

// spectestModule is the module that the scripts import from.
func spectestModule() []byte {
	i32, f32, i64, f64 := wasm.I32, wasm.F32, wasm.I64, wasm.F64
	m := &wasm.Module{
		Tables:   []wasm.TableType{{Element: wasm.FuncRef, Limits: wasm.Limits{Min: 10, Max: 20, HasMax: true}}},
		Memories: []wasm.Limits{{Min: 1, Max: 2, HasMax: true}},
	}
	export := func(name string, k wasm.Kind, i int) {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: k, Index: uint32(i)})
	}
	for i, f := range []struct {
		name   string
		params []wasm.ValueType
	}{
		{"print", nil}, {"print_i32", []wasm.ValueType{i32}}, {"print_i64", []wasm.ValueType{i64}},
		{"print_f32", []wasm.ValueType{f32}}, {"print_f64", []wasm.ValueType{f64}},
		{"print_i32_f32", []wasm.ValueType{i32, f32}}, {"print_f64_f64", []wasm.ValueType{f64, f64}},
	} {
		m.Types = append(m.Types, wasm.FuncType{Params: f.params})
		m.Functions = append(m.Functions, uint32(i))
		m.Bodies = append(m.Bodies, wasm.Body{Code: []byte{byte(wasm.OpEnd)}})
		export(f.name, wasm.KindFunction, i)
	}
	for i, g := range []struct {
		name string
		typ  wasm.ValueType
		init wasm.ConstExpr
	}{
		{"global_i32", i32, wasm.ConstExpr{Op: wasm.OpI32Const, Bits: [2]uint64{666}}},
		{"global_i64", i64, wasm.ConstExpr{Op: wasm.OpI64Const, Bits: [2]uint64{666}}},
		{"global_f32", f32, wasm.ConstExpr{Op: wasm.OpF32Const, Bits: [2]uint64{uint64(math.Float32bits(666.6))}}},
		{"global_f64", f64, wasm.ConstExpr{Op: wasm.OpF64Const, Bits: [2]uint64{math.Float64bits(666.6)}}},
	} {
		m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: g.typ}, Init: g.init})
		export(g.name, wasm.KindGlobal, i)
	}
	export("table", wasm.KindTable, 0)
	export("memory", wasm.KindMemory, 0)
	return m.Encode()
}
