package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// trapping gives up on line 11, which decide calls on line 17.
const trapping = `static unsigned char request[64], response[64];
static unsigned window[4];
void *memset(void *p, int c, unsigned long n) { for (unsigned char *b = p; n--;) *b++ = c; return p; }
__attribute__((export_name("edgehold_abi_v1"))) void marker(void) {}
__attribute__((export_name("edgehold_window"))) unsigned *where(void) {
	window[0] = (unsigned)request, window[1] = 64, window[2] = (unsigned)response, window[3] = 64;
	return window;
}
static __attribute__((noinline)) int divide(int n) {
	for (int i = 0; i < n; i++) response[i & 7]++;
	if (n > 3) __builtin_trap();
	return n;
}
static __attribute__((noinline)) int decide(int op) {
	response[0] = 0;
	if (op != 1) return 0;
	return divide(op + 4) + 1;
}
__attribute__((export_name("edgehold_call"))) long long call(int op, int length) {
	(void)length;
	return decide(op) * 0LL;
}
`

// The code that runs is rewritten, and an error names the author's functions and lines all the same.
func TestTrapNamesTheLine(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.c"), []byte(trapping), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "policy.wasm")
	pluginstest.Need(t, toolchain.BuildDebug(t.Context(), toolchain.C, dir, out))
	module, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	module, err = wasmabi.AppendManifest(module, &wasmabi.Manifest{Name: "lines", Version: "1.0.0", Kind: wasmabi.KindPolicy,
		Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: wasmabi.Version})
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]Config{"compiled": {CacheDir: t.TempDir()}, "interpreted": {Engine: Interpreter}} {
		t.Run(name, func(t *testing.T) {
			e := trapOf(t, config, module)
			want := []string{"divide at policy.c:11", "decide at policy.c:17", "call at policy.c:21"}
			if !slices.Equal(e.Stack[:min(len(e.Stack), 3)], want) {
				t.Errorf("got %q, want %q", e.Stack, want)
			}
			if !strings.Contains(e.Error(), "(in divide at policy.c:11, called by decide at policy.c:17") {
				t.Errorf("got %v", e)
			}
		})
	}
}

// trapOf returns how analyze fails, the second time as the first.
func trapOf(t *testing.T, c Config, module []byte) *CallError {
	t.Helper()
	r, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Prepare(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	var failed [2]*CallError
	for i := range failed {
		s, err := m.Begin(t.Context(), SessionConfig{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Call(t.Context(), wasmabi.OpAnalyze, nil)
		s.Close()
		if !errors.As(err, &failed[i]) || failed[i].Kind != Trap {
			t.Fatalf("got %v, want a trap", err)
		}
	}
	if !slices.Equal(failed[0].Stack, failed[1].Stack) {
		t.Errorf("first %q, then %q", failed[0].Stack, failed[1].Stack)
	}
	return failed[0]
}

func TestFunctionName(t *testing.T) {
	for frame, want := range map[string]string{
		"policy.wasm.limit(i32,f64)":    "limit",
		"main.(*decider).Plan":          "main.(*decider).Plan",
		"main.(*decider).Plan(i32) i64": "main.(*decider).Plan",
		"policy.wasm._ZN59_$LT$policy..Decider$u20$as$u20$edgehold_policy..Policy$GT$4plan17h95393e4120e85ffbE(i32)": "<policy::Decider as edgehold_policy::Policy>::plan",
		"_ZN99999x": "_ZN99999x", "_ZN": "_ZN", "_ZNE": "_ZNE", "$3(i32,i32) i64": "$3",
	} {
		if got := functionName(frame); got != want {
			t.Errorf("%s: got %q, want %q", frame, got, want)
		}
	}
}
