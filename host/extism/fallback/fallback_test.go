package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/host/extism/helper"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	host.RunChild()
	var err error
	if folder, err = os.MkdirTemp("", "edgehold-helper-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(folder)
		os.Exit(code)
	}))
}

// folder is for what all tests share. It goes with them.
var folder string

var program = sync.OnceValues(func() (string, error) {
	file := filepath.Join(folder, helper.Program)
	build := exec.Command("go", "build", "-o", file, "../../../cmd/edgehold-plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = errors.New(string(out))
	}
	return file, err
})

// deadline is of one operation, on a machine that has other work.
const deadline = 10 * time.Second

// rig is the adapter of testdata/go/files, granted the level of one bank in a folder of the test's.
type rig struct {
	*fallback.Plugin
	t     *testing.T
	root  string
	now   time.Time
	init  []byte
	facts map[string]string
}

func newRig(t *testing.T, change func(*fallback.Grant)) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a plugin and a program")
	}
	file, err := program()
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := host.New(t.Context(), host.Config{AdapterDeadline: deadline})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { runtime.Close(context.Background()) })
	r := &rig{t: t, root: t.TempDir(), now: time.Unix(1e9, 0)}
	r.Plugin, err = fallback.Prepare(t.Context(), runtime, pluginstest.ExtismFiles(t), fallback.Config{
		Dir: filepath.Dir(file), Program: file, Now: func() time.Time { return r.now }, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	for name, text := range map[string]string{"srv/fans/bank1/level": "40\n", "srv/fans/bank1/secret": "s", "srv/fans/bank2/level": "7", "etc/passwd": "p"} {
		r.write(name, text)
	}
	if err := os.Symlink("../../../etc/passwd", filepath.Join(r.root, "srv/fans/bank1/link")); err != nil {
		t.Fatal(err)
	}
	g := fallback.Grant{Capabilities: r.Manifest().Capabilities, Root: r.root,
		Offers: []capability.Offer{{Kind: "file", Paths: []string{"/srv/fans/bank1/level"}, Write: true}}}
	change(&g)
	r.Grant(g)
	r.init = wasmabi.AppendInit(nil, &wasmabi.Init{Policy: "fan-files", Version: "1.0.0", ParameterNames: []string{"bank"}, Parameters: []float64{1}, Capabilities: g.Capabilities})
	return r
}

func asOffered(*fallback.Grant) {}

func (r *rig) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) level() string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.root, "srv/fans/bank1/level"))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func (r *rig) apply(knob string, number float64, choice string) error {
	request := wasmabi.AppendSettings(nil, &wasmabi.Settings{Settings: []wasmabi.KnobSetting{{Knob: knob, Number: number, Choice: choice}}})
	return r.Operate(r.t.Context(), host.SessionConfig{}, r.init, wasmabi.OpApply, request, func([]byte) error { return nil })
}

func (r *rig) do(what string) error { return r.apply("do", math.NaN(), what) }

func (r *rig) state() (number float64, err error) {
	var m wasmabi.Readings
	err = r.Operate(r.t.Context(), host.SessionConfig{}, r.init, wasmabi.OpState, wasmabi.AppendNames(nil, &wasmabi.Names{}),
		func(b []byte) error { return wasmabi.DecodeReadings(b, &m) })
	if err != nil {
		return 0, err
	}
	r.facts = map[string]string{}
	for _, f := range m.Facts {
		r.facts[f.Name] = f.Value
	}
	return m.Readings[0].Number, nil
}

func wantKind(t *testing.T, err error, kind host.Kind) {
	t.Helper()
	e, ok := errors.AsType[*host.CallError](err)
	if !ok || e.Kind != kind {
		t.Errorf("%v, want kind %v", err, kind)
	}
}

// It reads and writes the granted file with its language's own functions, sees nothing else, and each operation is on its own.
func TestFiles(t *testing.T) {
	r := newRig(t, asOffered)
	for range 2 {
		if v, err := r.state(); err != nil || v != 40 {
			t.Fatalf("%v, %v", v, err)
		}
		if r.facts["sees"] != "/srv/fans/bank1/level" || r.facts["calls"] != "1" || r.facts["environment"] != "" {
			t.Errorf("%v", r.facts)
		}
	}
	if err := r.apply("fan/level", 128, ""); err != nil || r.level() != "128" {
		t.Errorf("%q, %v", r.level(), err)
	}
	for _, what := range []string{"wander", "make"} {
		if err := r.do(what); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(r.root, "srv/fans/bank1"))
	if err != nil || len(entries) != 3 || r.level() != "128" {
		t.Errorf("%v, %v, %q", entries, err, r.level())
	}
	if s := r.Stats(); s.Calls != 5 || len(s.Errors) != 0 {
		t.Errorf("%+v", s)
	}
}

// What is granted is what the manifest asks for and the node offers, both.
func TestGrant(t *testing.T) {
	for name, change := range map[string]func(*fallback.Grant){
		"nothing is offered":  func(g *fallback.Grant) { g.Offers = nil },
		"another is offered":  func(g *fallback.Grant) { g.Offers[0].Paths = []string{"/srv/fans/bank2/level"} },
		"nothing is asked":    func(g *fallback.Grant) { g.Capabilities = nil },
		"less may be written": func(g *fallback.Grant) { g.Offers[0].Write = false },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			if err := r.apply("fan/level", 1, ""); err == nil || r.level() != "40\n" {
				t.Errorf("%v, %q", err, r.level())
			}
		})
	}
	r := newRig(t, func(g *fallback.Grant) { g.Capabilities[0].Bytes = 4 })
	if err := r.apply("fan/level", 12345, ""); err == nil {
		t.Error("more was written than was granted")
	}
	r.write("srv/fans/bank1/level", "1  \n\n")
	if _, err := r.state(); err == nil {
		t.Error("more was read than was granted")
	}
}

// Whatever a plugin does, the operation fails with what it was, and the next one works.
func TestHostile(t *testing.T) {
	r := newRig(t, asOffered)
	for _, test := range []struct {
		what string
		kind host.Kind
	}{{"crash", host.Guest}, {"loop", host.Deadline}, {"eat", host.Guest}, {"flood", host.Output}} {
		err := r.do(test.what)
		if e, ok := errors.AsType[*host.CallError](err); !ok || e.Kind != test.kind {
			t.Errorf("%s: %v, want kind %v", test.what, err, test.kind)
		}
		if v, err := r.state(); err != nil || v != 40 {
			t.Errorf("after %s: %v, %v", test.what, v, err)
		}
	}
}

// A process that ends again and again is started again later and later; nobody waits for it meanwhile.
func TestBackoff(t *testing.T) {
	r := newRig(t, asOffered)
	slow := func() error {
		if _, err := r.state(); err != nil { // the process is there
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		request := wasmabi.AppendSettings(nil, &wasmabi.Settings{Settings: []wasmabi.KnobSetting{{Knob: "do", Number: math.NaN(), Choice: "loop"}}})
		return r.Operate(ctx, host.SessionConfig{}, r.init, wasmabi.OpApply, request, func([]byte) error { return nil })
	}
	for range 2 {
		wantKind(t, slow(), host.Deadline)
	}
	_, err := r.state()
	e, ok := errors.AsType[*host.CallError](err)
	if !ok || !e.Retryable || !strings.Contains(e.Message, "2 times in a row") {
		t.Fatalf("%v", err)
	}
	r.now = r.now.Add(time.Second)
	if v, err := r.state(); err != nil || v != 40 {
		t.Errorf("%v, %v", v, err)
	}
	if err := r.Rest(); err != nil {
		t.Error(err)
	}
	if v, err := r.state(); err != nil || v != 40 {
		t.Errorf("after a rest: %v, %v", v, err)
	}
	r.Close()
	if _, err := r.state(); !errors.Is(err, host.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
