package examples

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	host.RunChild()
	os.Exit(m.Run())
}

// compiler builds a guest from the Go package in a folder.
type compiler func(pkg string) ([]byte, error)

func standardGo(pkg string) ([]byte, error) { return pluginstest.Go(pkg) }

// prepare takes the example through everything that an upload goes through.
func prepare(t testing.TB, dir string, with compiler) *host.Module {
	t.Helper()
	module, err := with("./" + dir)
	if err != nil {
		t.Fatal(err)
	}
	// A machine that runs tests has other work: neither a call nor the compiler may run out of time for that.
	c := host.Config{CacheDir: filepath.Join(t.TempDir(), "cache"), CompileTime: 2 * time.Minute, Limits: host.Limits{Deadline: time.Minute}}
	r, err := host.New(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Prepare(context.Background(), pluginstest.Pack(t, dir, module))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// initFor grants what the manifest asks for, on a node with two frequency policies.
func initFor(m *wasmabi.Manifest, context []byte) []byte {
	i := wasmabi.NewInit(m)
	i.Asset, i.Mechanisms, i.Context = "test-node", []string{"CPUFrequency"}, context
	for _, name := range []string{"policy0/max_frequency", "policy4/max_frequency"} {
		i.Knobs = append(i.Knobs, wasmabi.KnobInfo{
			Name: name, Unit: "Hz", Kind: wasmabi.KnobNumber, Min: 8e8, Max: 3.5e9, Step: math.NaN(),
		})
	}
	return wasmabi.AppendInit(nil, i)
}

func observe(value float64) []byte {
	return wasmabi.AppendObservation(nil, &wasmabi.Observation{
		Seq: 1, TimeNS: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(),
		IDs: []uint32{0}, Values: []float64{value}, AgesMS: []uint32{0},
	})
}

// pass runs one episode and returns its plan; nil without one.
func pass(t testing.TB, m *host.Module, init, observation []byte) (*wasmabi.Plan, error) {
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1e9, 0), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Call(t.Context(), wasmabi.OpInit, init); err != nil {
		return nil, err
	}
	response, err := s.Call(t.Context(), wasmabi.OpAnalyze, observation)
	if err != nil {
		return nil, err
	}
	var a wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(response, &a); err != nil || !a.Plan {
		return nil, err
	}
	if response, err = s.Call(t.Context(), wasmabi.OpPlan, observation); err != nil {
		return nil, err
	}
	var p wasmabi.Plan
	return &p, wasmabi.DecodePlan(response, &p)
}

func TestExamplesUnderTheHost(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles four modules")
	}
	checkExamples(t, standardGo)
}

func TestExamplesWithTinyGo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	_, err := toolchain.FindTinyGo()
	pluginstest.Need(t, err)
	checkExamples(t, pluginstest.TinyGo, "01-cpu-boost", "03-worse")
}

// checkExamples runs the named examples, or all.
func checkExamples(t *testing.T, with compiler, names ...string) {
	tests := []struct {
		dir   string
		value float64
		rows  int
		kinds []host.Kind // how the pass may end; empty: well
	}{
		{"01-cpu-boost", 0.95, 2, nil},
		{"02-bad-loop", 0.95, 0, []host.Kind{host.Fuel}},
		{"03-worse", 0.95, 0, []host.Kind{host.Trap}},
		{"04-app-latency", 0.5, 2, nil},
	}
	for _, tt := range tests {
		if len(names) > 0 && !slices.Contains(names, tt.dir) {
			continue
		}
		t.Run(tt.dir, func(t *testing.T) {
			m := prepare(t, tt.dir, with)
			plan, err := pass(t, m, initFor(m.Manifest(), nil), observe(tt.value))
			if len(tt.kinds) > 0 {
				wantKind(t, err, tt.kinds)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Knobs) != tt.rows || plan.Values[0] != 3.5e9 || plan.LeaseMS[0] != 30_000 {
				t.Errorf("got %+v", plan)
			}
		})
	}
}

// An instance that can't be reset has to be made anew, which costs more than the episode.
func TestEpisodesReuseTheInstance(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	m := prepare(t, "01-cpu-boost", standardGo)
	for range 20 {
		if _, err := pass(t, m, initFor(m.Manifest(), nil), observe(0.95)); err != nil {
			t.Fatal(err)
		}
	}
	if s := m.Stats(); s.Discards > 0 {
		t.Errorf("%d of %d sessions lost their instance: its memory grew after the image was made", s.Discards, s.Sessions)
	}
}

func wantKind(t *testing.T, err error, kinds []host.Kind) {
	t.Helper()
	var e *host.CallError
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	for _, k := range kinds {
		if e.Kind == k {
			return
		}
	}
	t.Errorf("ended by %v: %v", e.Kind, e)
}

func BenchmarkEpisode(b *testing.B) {
	b.Run("go", func(b *testing.B) { benchmarkEpisode(b, standardGo) })
	b.Run("tinygo", func(b *testing.B) {
		_, err := toolchain.FindTinyGo()
		pluginstest.Need(b, err)
		benchmarkEpisode(b, pluginstest.TinyGo)
	})
}

// benchmarkEpisode measures a pass with reset, init, analyze and plan.
func benchmarkEpisode(b *testing.B, with compiler) {
	m := prepare(b, "01-cpu-boost", with)
	init, observation := initFor(m.Manifest(), nil), observe(0.95)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pass(b, m, init, observation); err != nil {
			b.Fatal(err)
		}
	}
	if s := m.Stats(); s.Sessions > 0 {
		b.ReportMetric(float64(s.Fuel.Sum)/float64(s.Sessions), "fuel/op")
	}
}
