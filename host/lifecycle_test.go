package host

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestManyGoroutinesOneModule(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		c.MaxInstances = 3
		m := prepare(t, newRuntime(t, c), small(t, wasmtest.Counter()))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					s, err := m.Begin(t.Context(), SessionConfig{})
					if err != nil {
						t.Error(err)
						return
					}
					for n := range uint32(3) {
						got, err := s.Call(t.Context(), wasmabi.OpAnalyze, nil)
						if err != nil || binary.LittleEndian.Uint32(got) != n+1 {
							t.Errorf("got %x, %v", got, err)
						}
					}
					s.Close()
				}
			})
		}
		wg.Wait()
		s := m.Stats()
		if s.Calls != 8*50*3 || s.Sessions != 8*50+1 || s.Instances > 3 {
			t.Errorf("%d calls, %d sessions, %d instances", s.Calls, s.Sessions, s.Instances)
		}
	})
}

func TestBeginWaitsForAnInstance(t *testing.T) {
	r := newRuntime(t, Config{MaxInstances: 1})
	m := prepare(t, r, small(t, wasmtest.Echo()))
	s := begin(t, m, SessionConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Begin(ctx, SessionConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.Close()
	begin(t, m, SessionConfig{})
}

func TestCloseLetsSessionsFinish(t *testing.T) {
	r := newRuntime(t, Config{})
	m := prepare(t, r, small(t, wasmtest.Echo()))
	s := begin(t, m, SessionConfig{})
	m.Close()
	if _, err := m.Begin(t.Context(), SessionConfig{}); !errors.Is(err, ErrClosed) {
		t.Errorf("begin after close: %v", err)
	}
	if got := call(t, s, wasmabi.OpAnalyze, []byte("last")); string(got) != "last" {
		t.Errorf("got %q", got)
	}
	select {
	case <-m.gone:
		t.Error("given up while a session runs")
	default:
	}
	s.Close()
	<-m.gone
	s.Close()
	m.Close()
	if _, err := s.Call(t.Context(), wasmabi.OpAnalyze, nil); !errors.Is(err, ErrSessionOver) {
		t.Errorf("call after close: %v", err)
	}
}

func TestRuntimeCloseWaits(t *testing.T) {
	r, err := New(t.Context(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	s := begin(t, prepare(t, r, small(t, wasmtest.Echo())), SessionConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed with a session running: %v", err)
	}
	s.Close()
	if err := r.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := r.Prepare(t.Context(), small(t, wasmtest.Echo())); !errors.Is(err, ErrClosed) {
		t.Errorf("prepare after close: %v", err)
	}
}

func TestSecondPrepareTakesFromDisk(t *testing.T) {
	dir := t.TempDir()
	module := small(t, wasmtest.Echo())
	prepare(t, newRuntime(t, Config{CacheDir: dir}), module)
	files, _ := filepath.Glob(filepath.Join(dir, "artefacts", "*"))
	if len(files) != 1 {
		t.Fatalf("artefacts: %v", files)
	}
	before, _ := os.Stat(files[0])
	prepare(t, newRuntime(t, Config{CacheDir: dir}), module)
	after, _ := os.Stat(files[0])
	if !os.SameFile(before, after) {
		t.Error("the artefact was made again")
	}
	if err := os.WriteFile(files[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := prepare(t, newRuntime(t, Config{CacheDir: dir}), module)
	if _, err := once(t, m, SessionConfig{}, wasmabi.OpHealth, nil); err != nil {
		t.Errorf("after a damaged artefact: %v", err)
	}
}

func TestDamagedMachineCodeIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	module := small(t, wasmtest.Echo())
	r := newRuntime(t, Config{CacheDir: dir})
	if r.Engine() != Compiler {
		t.Skip("needs an engine that compiles")
	}
	prepare(t, r, module)
	for name, content := range map[string]string{"emptied": "", "overwritten": "damaged"} {
		t.Run(name, func(t *testing.T) {
			files, _ := filepath.Glob(filepath.Join(dir, "engine", "*", "*"))
			if len(files) == 0 {
				t.Fatal("no machine code was kept")
			}
			for _, f := range files {
				if err := os.WriteFile(f, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m := prepare(t, newRuntime(t, Config{CacheDir: dir}), module)
			if _, err := once(t, m, SessionConfig{}, wasmabi.OpHealth, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCacheDirectoryOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Config{CacheDir: dir}); err == nil {
		t.Error("a directory that everybody may write to was accepted")
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	err := Config{Engine: 9, MaxInstances: -1, Limits: Limits{Memory: 5 << 30}}.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("got %v", err)
	}
}

func TestStats(t *testing.T) {
	m := prepare(t, newRuntime(t, Config{}), small(t, wasmtest.Echo()))
	s := begin(t, m, SessionConfig{})
	for range 10 {
		call(t, s, wasmabi.OpAnalyze, make([]byte, 100))
	}
	s.Close()
	got := m.Stats()
	if got.Calls != 10 || got.RequestBytes != 1000 || got.ResponseBytes != 1000 || len(got.Errors) != 0 {
		t.Errorf("got %+v", got)
	}
	if got.Fuel.Sum != 10*s.Fuel() || got.Latency.Quantile(0.5) == 0 {
		t.Errorf("fuel %d, median latency %d", got.Fuel.Sum, got.Latency.Quantile(0.5))
	}
}

// TestModulesThatShareCodeCloseAlone prepares one module twice, as a swap to the same version and back does, and another
// that differs in its manifest alone: the engine keeps one machine code for all of them.
func TestModulesThatShareCodeCloseAlone(t *testing.T) {
	variants(t, func(t *testing.T, c Config) {
		r := newRuntime(t, c)
		a, b := prepare(t, r, reference(t)), prepare(t, r, reference(t))
		a.Close()
		<-a.gone
		if _, err := once(t, b, SessionConfig{}, wasmabi.OpHealth, nil); err != nil {
			t.Errorf("after the twin was closed: %v", err)
		}
		b.Trim(0)
		if _, err := once(t, b, SessionConfig{}, opEcho, []byte("new instance")); err != nil {
			t.Errorf("a new instance: %v", err)
		}
		_, err := once(t, b, SessionConfig{}, opPanic, nil)
		if e := wantKind(t, err, Trap); len(e.Stack) == 0 {
			t.Error("the error has no stack")
		}
	})
}
