package compile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/host/internal/wasm/wasmtest"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) {
	RunChild()
	goleak.VerifyTestMain(m)
}

var recipe = Recipe{MemoryLimit: 1 << 20, StackBytes: 256 << 10,
	Initialise: guest.Limits{Fuel: 1e6, Slice: 1e4, Deadline: 10 * time.Second, HostCalls: 100, LogBytes: 100, ResponseBytes: 100}}

func sample() *Artefact {
	return &Artefact{
		Module: []byte("module"), Window: wasmabi.Window{RequestPtr: 1, RequestCap: 2, ResponsePtr: 3, ResponseCap: 4},
		Globals: []guest.Global{{Export: "g", Value: 7}}, Memory: 3 * 65536,
		Runs: []Run{{Offset: 65536, Bytes: []byte{1, 2, 3}}},
	}
}

func TestEncodeDecode(t *testing.T) {
	b, err := sample().Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, sample()); diff != "" {
		t.Error(diff)
	}
	b[len(b)-1] ^= 1
	if _, err := Decode(b); !errors.Is(err, ErrDamaged) {
		t.Errorf("a changed byte: %v", err)
	}
}

func TestRunsAreTheMemory(t *testing.T) {
	memory := make([]byte, 5*granule)
	memory[granule], memory[3*granule-1], memory[5*granule-1] = 1, 2, 3
	a := Artefact{Memory: uint64(len(memory)), Runs: runs(memory)}
	if len(a.Runs) != 2 {
		t.Errorf("%d runs, want 2", len(a.Runs))
	}
	if !bytes.Equal(a.Content(), memory) {
		t.Error("the content is not the memory")
	}
}

func TestBuildIsReproducible(t *testing.T) {
	build := func() *Artefact {
		a, err := Build(t.Context(), wasmtest.Counter(), recipe)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a, b := build(), build()
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
	if a.Image() != b.Image() {
		t.Error("the images differ")
	}
	if want := (wasmabi.Window{RequestPtr: wasmtest.RequestAddress, RequestCap: wasmtest.RequestBytes,
		ResponsePtr: wasmtest.ResponseAddress, ResponseCap: wasmtest.ResponseBytes}); a.Window != want {
		t.Errorf("window %+v, want %+v", a.Window, want)
	}
}

func TestChildGivesWhatThisProcessGives(t *testing.T) {
	order := Order{Module: wasmtest.Counter(), Recipe: recipe, CacheDir: t.TempDir(), Bounds: DefaultBounds}
	here, err := InProcess(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	there, err := InChild(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(there, here, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// TestChildIsKilled has the child compile what takes it far longer than its bounds: a bomb that intake would refuse.
func TestChildIsKilled(t *testing.T) {
	bomb := wasmtest.BranchBomb(351 << 10)
	for _, test := range []struct {
		name   string
		bounds Bounds
		code   string
	}{
		{"wall time", Bounds{CPU: time.Minute, Memory: 1 << 30, Wall: 300 * time.Millisecond}, "intake.compile-timeout"},
		{"processor time", Bounds{CPU: time.Second, Memory: 1 << 30, Wall: time.Minute}, "intake.compile-cpu"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := InChild(t.Context(), Order{Module: bomb, Recipe: recipe, CacheDir: t.TempDir(), Bounds: test.bounds})
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != test.code {
				t.Errorf("got %v, want %s", err, test.code)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := InChild(ctx, Order{Module: bomb, Recipe: recipe, Bounds: DefaultBounds}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func withSum(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(sum[:], body...)
}

func FuzzDecode(f *testing.F) {
	b, err := sample().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[sha256.Size:])
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum would keep the fuzzer out, so it gets one that fits.
		a, err := Decode(withSum(b))
		if err != nil {
			return
		}
		if a.Memory <= 1<<24 {
			a.Content()
		}
		again, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := Decode(again)
		if err != nil || !reflect.DeepEqual(read, a) {
			t.Fatalf("got %+v, %v, want %+v", read, err, a)
		}
	})
}
