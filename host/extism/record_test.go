package extism_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
	"github.com/edgehold/edgehold/host/record"
)

// TestReplayWeb records what a server told a plugin, and plays it again without asking the server.
func TestReplayWeb(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "answer %d", asked.Add(1))
	}))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	recorder := record.NewRecorder(1 << 20)
	p, err := extism.Prepare(t.Context(), newRuntime(t, host.Config{}), corpus(t, "http_headers.wasm"),
		extism.Manifest{AllowedHosts: []string{"127.*.1"}, TimeoutMS: 10_000},
		extism.Options{Recorder: recorder, Now: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	if err != nil {
		t.Fatal(err)
	}
	result, err := p.Call(t.Context(), "http_get", fmt.Appendf(nil, `{"url":%q}`, server.URL))
	if err != nil || result.Fuel == 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	encoded, err := recorder.Episode().Encode()
	if err != nil {
		t.Fatal(err)
	}
	e, err := record.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	report, err := record.Replay(t.Context(), p.Module(), e)
	if err != nil || !report.Same() || report.Calls != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	if asked.Load() != 1 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
}

// TestNothingStays calls a plugin that counts in its variables on fresh instances and on one: only the latter counts on, and a
// fresh one spends the same fuel each time.
func TestNothingStays(t *testing.T) {
	p, err := extism.Prepare(t.Context(), newRuntime(t, host.Config{}), corpus(t, "count_vowels.wasm"), extism.Manifest{}, extism.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var first extism.Result
	for n := range 3 {
		r, err := p.Call(t.Context(), "count_vowels", []byte("alibi"))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			first = r
		}
		if string(r.Output) != string(first.Output) || r.Fuel != first.Fuel {
			t.Errorf("call %d: %s for %d, the first: %s for %d", n, r.Output, r.Fuel, first.Output, first.Fuel)
		}
	}
	i, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for n := 1; n <= 3; n++ {
		out, err := i.Call(t.Context(), "count_vowels", []byte("alibi"))
		if want := fmt.Sprintf(`{"count":3,"total":%d,"vowels":"aeiouAEIOU"}`, 3*n); err != nil || string(out) != want {
			t.Errorf("got %s, %v, want %s", out, err, want)
		}
	}
}

// TestConcurrentCalls calls one plugin from many sides: nobody sees another's input.
func TestConcurrentCalls(t *testing.T) {
	p, err := extism.Prepare(t.Context(), newRuntime(t, host.Config{MaxInstances: 3}), corpus(t, "count_vowels.wasm"), extism.Manifest{}, extism.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for n := range 8 {
		callers.Go(func() {
			want := fmt.Sprintf(`{"count":%d,"total":%[1]d,"vowels":"aeiouAEIOU"}`, n)
			for range 50 {
				r, err := p.Call(t.Context(), "count_vowels", []byte("x"+strings.Repeat("a", n)))
				if err != nil || string(r.Output) != want {
					t.Errorf("got %s, %v, want %s", r.Output, err, want)
				}
			}
		})
	}
	callers.Wait()
}

// TestNoGarbage bounds what the README claims.
func TestNoGarbage(t *testing.T) {
	p, err := extism.Prepare(t.Context(), newRuntime(t, host.Config{}), corpus(t, "input_offset.wasm"), extism.Manifest{}, extism.Options{})
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	input := make([]byte, 1024)
	allocated := testing.AllocsPerRun(100, func() {
		if _, err := i.Call(t.Context(), "input_offset_length", input); err != nil {
			t.Fatal(err)
		}
	})
	if allocated > 0 {
		t.Errorf("a call makes %g allocations", allocated)
	}
}
