package extism_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/extism/go-sdk"
	"github.com/google/go-cmp/cmp"
	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
)

// corpus returns a plugin that the Extism project's SDK for Go brings for its own tests.
func corpus(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "wasm", name))
	if err != nil {
		t.Fatal(err)
	}
	return module
}

// call is one call of an export.
type call struct{ export, input string }

// outcome is what both engines are compared by.
type outcome struct {
	Output   string
	Returned uint32
	Error    string // that the plugin set; "trap" if it did not get that far
	Log      []string
}

// trap stands for every error that is not the plugin's own: engines word them differently.
const trap = "trap"

// subject is a plugin with what it is called with.
type subject struct {
	name     string
	module   []byte
	manifest extism.Manifest
	calls    []call
}

func subjects(t *testing.T, web string) []subject {
	config := func(kv ...string) extism.Manifest {
		m := extism.Manifest{Config: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			m.Config[kv[i]] = kv[i+1]
		}
		return m
	}
	local := extism.Manifest{AllowedHosts: []string{"127.0.0.1"}, TimeoutMS: 5000}
	long := strings.Repeat("an apple a day keeps the doctor away; ", 500)
	return []subject{
		{"count_vowels", corpus(t, "count_vowels.wasm"), config("vowels", "aeiouyAEIOUY"), []call{
			{"count_vowels", "hello world"}, {"count_vowels", ""}, {"count_vowels", "why"}, {"count_vowels", long}}},
		{"count_vowels without configuration", corpus(t, "count_vowels.wasm"), extism.Manifest{}, []call{{"count_vowels", "Yellow, World!"}}},
		{"Go command", corpus(t, "count_vowels_std.wasm"), extism.Manifest{}, []call{{"_start", "hello world"}}},
		{"alloc", corpus(t, "alloc.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"config", corpus(t, "config.wasm"), config("thing", "this is a value"), []call{{"run_test", ""}}},
		{"config missing", corpus(t, "config.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"fail", corpus(t, "fail.wasm"), extism.Manifest{}, []call{{"run_test", ""}, {"run_test", ""}}},
		{"hello", corpus(t, "hello.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"Haskell", corpus(t, "hello_haskell.wasm"), config("greeting", "Howdy"), []call{{"testing", "John"}, {"testing", "Mary"}}},
		{"exit with 2", corpus(t, "exit.wasm"), config("code", "2"), []call{{"_start", ""}}},
		{"exit with 0", corpus(t, "exit.wasm"), config("code", "0"), []call{{"_start", ""}}},
		{"http", corpus(t, "http.wasm"), extism.Manifest{AllowedHosts: []string{"nowhere.invalid"}, TimeoutMS: 5000}, []call{{"run_test", ""}}},
		{"http denied", corpus(t, "http.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"http headers", corpus(t, "http_headers.wasm"), local, []call{{"http_get", `{"url":"` + web + `/headers"}`}}},
		{"http headers denied", corpus(t, "http_headers.wasm"), extism.Manifest{}, []call{{"http_get", `{"url":"` + web + `/headers"}`}}},
		{"input_offset", corpus(t, "input_offset.wasm"), extism.Manifest{}, []call{{"input_offset_length", "some input"}, {"input_offset_length", ""}}},
		{"log", corpus(t, "log.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"var", corpus(t, "var.wasm"), extism.Manifest{}, []call{{"run_test", ""}, {"run_test", ""}, {"run_test", ""}}},
		{"var without room", corpus(t, "var.wasm"), extism.Manifest{Memory: extism.Memory{MaxVarBytes: new(int64(1))}}, []call{{"run_test", ""}}},
		{"var forbidden", corpus(t, "var.wasm"), extism.Manifest{Memory: extism.Memory{MaxVarBytes: new(int64(0))}}, []call{{"run_test", ""}}},
		{"noop", corpus(t, "noop.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"println", corpus(t, "println.wasm"), extism.Manifest{}, []call{{"_start", ""}}},
		{"sleep", corpus(t, "sleep.wasm"), config("duration", "0"), []call{{"run_test", ""}}},
		{"replace", corpus(t, "replace.wasm"), extism.Manifest{}, []call{{"run_test", ""}}},
		{"no such export", corpus(t, "hello.wasm"), extism.Manifest{}, []call{{"walk_the_dog", ""}}},
	}
}

// document is an observation, as a policy gets it.
const document = `{"seq":7,"parameters":{"high":0.8},"metrics":{"node_cpu_utilisation_ratio":{"value":0.9,"age_ms":20,"unit":"ratio"}},
	"knobs":{"policy0/max_frequency":{"value":1.8e9,"mechanism":"CPUFrequency","min":8e8,"max":3e9,"step":null}}}`

// TestOracleOfKits compares plugins that were built for this test with kits of the Extism project.
func TestOracleOfKits(t *testing.T) {
	policy := []call{{"analyze", document}, {"plan", document}, {"plan", document}, {"analyze", "{"}, {"analyze", `{"metrics":{},"knobs":{}}`},
		{"plan", document}}
	tally := []call{{"add", "20"}, {"add", "22.5"}, {"add", "twelve"}, {"add", "-0.5"}, {"crash", "out of bounds"}}
	for _, c := range []struct {
		name   string
		plugin func(testing.TB) []byte
		calls  []call
	}{
		{"Go", goPlugin, policy}, {"TinyGo", tinyGoPlugin, policy}, {"Rust", rustPlugin, policy}, {"AssemblyScript", assemblyScriptPlugin, tally},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := subject{"kit for " + c.name, c.plugin(t), extism.Manifest{Config: map[string]string{"high": "0.85", "unit": "apples"}}, c.calls}
			want, got := s.throughSDK(t), s.throughUs(t)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got is through our door, want through the SDK:\n%s", diff)
			}
			t.Log(got)
		})
	}
}

func TestOracle(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Test", "one")
		w.Header().Add("X-Test", "two")
		w.Header().Set("Date", "today")
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	}))
	defer web.Close()
	defer http.DefaultClient.CloseIdleConnections()
	for _, s := range subjects(t, web.URL) {
		t.Run(s.name, func(t *testing.T) {
			if testing.Short() && len(s.module) > 100_000 {
				t.Skip("compiling a large plugin twice takes a while")
			}
			want, got := s.throughSDK(t), s.throughUs(t)
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got is through our door, want through the SDK:\n%s", diff)
			}
		})
	}
}

func (s *subject) throughSDK(t *testing.T) (all []outcome) {
	t.Helper()
	ctx := context.Background()
	sdk.SetLogLevel(sdk.LogLevelInfo)
	m := sdk.Manifest{Wasm: []sdk.Wasm{sdk.WasmData{Data: s.module}}, Config: s.manifest.Config, AllowedHosts: s.manifest.AllowedHosts,
		Memory:  &sdk.ManifestMemory{MaxHttpResponseBytes: -1, MaxVarBytes: -1},
		Timeout: s.manifest.TimeoutMS}
	if v := s.manifest.Memory.MaxVarBytes; v != nil {
		m.Memory.MaxVarBytes = *v
	}
	p, err := sdk.NewPlugin(ctx, m, sdk.PluginConfig{RuntimeConfig: sdkEngine(t), EnableWasi: true, EnableHttpResponseHeaders: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(ctx)
	var log []string
	p.SetLogger(func(l sdk.LogLevel, text string) { log = append(log, l.String()+" "+text) })
	for _, c := range s.calls {
		log = nil
		code, output, err := p.Call(c.export, []byte(c.input))
		o := outcome{Output: string(output), Returned: code, Log: log}
		if err != nil {
			o.Error = trap
			if text := p.GetError(); text != "" && text == err.Error() {
				o.Error = text
			}
		}
		all = append(all, o)
	}
	return all
}

func (s *subject) throughUs(t *testing.T) (all []outcome) {
	t.Helper()
	ctx := t.Context()
	log := &lines{}
	r := newRuntime(t, host.Config{Logger: slog.New(log)})
	p, err := extism.Prepare(ctx, r, s.module, s.manifest, extism.Options{Name: s.name, LogLevel: host.PluginInfo})
	if err != nil {
		t.Fatalf("%v: %v", err, errors.Unwrap(err))
	}
	i, err := p.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for _, c := range s.calls {
		log.text = nil
		output, err := i.Call(ctx, c.export, []byte(c.input))
		o := outcome{Output: string(output), Returned: i.Returned(), Log: log.text}
		if err != nil {
			o.Error = trap
			if e, ok := errors.AsType[*host.CallError](err); ok && e.Kind == host.Guest {
				o.Error = e.Message
			} else {
				o.Output = ""
				t.Log(err)
			}
		}
		all = append(all, o)
	}
	return all
}

// lines keeps what a runtime's logger is told of guests, as the SDK writes it.
type lines struct {
	slog.Handler
	text []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "text" {
			l.text = append(l.text, r.Level.String()+" "+a.Value.String())
		}
		return true
	})
	return nil
}

// cache is a directory that survives test runs, so that a plugin is compiled once.
func cache(t testing.TB, name string) string {
	t.Helper()
	root, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(root, "edgehold-test", "extism", name)
}

// sdkEngine is the engine of the SDK, as it is by default but for a cache.
func sdkEngine(t testing.TB) wazero.RuntimeConfig {
	t.Helper()
	c, err := wazero.NewCompilationCacheWithDir(cache(t, "theirs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return wazero.NewRuntimeConfig().WithCompilationCache(c)
}

// newRuntime returns a runtime with room for what plugins of the wild do, and a cache that outlives the test.
func newRuntime(t testing.TB, c host.Config) *host.Runtime {
	t.Helper()
	if c.CacheDir == "" {
		c.CacheDir = cache(t, "ours")
	}
	c.Caps = host.DefaultCaps()
	c.Caps.Module.Types, c.Caps.ControlInstructions, c.Caps.CompileTime = 2000, 20_000, time.Minute // for Haskell
	if c.Limits == (host.Limits{}) {
		c.Limits = host.Limits{Fuel: 1 << 32, Deadline: 30 * time.Second, Memory: 64 << 20, HostCalls: 10_000, ResponseBytes: 1 << 20}
	}
	r, err := host.New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}
