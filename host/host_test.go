package host

import (
	"testing"

	"github.com/edgehold/edgehold/wasmabi"
)

func TestPrepareBeginCall(t *testing.T) {
	r := newRuntime(t, Config{CacheDir: testCache(t)})
	m := prepare(t, r, reference(t))
	s, err := m.Begin(t.Context(), SessionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Call(t.Context(), wasmabi.OpInit, []byte("context")); err != nil {
		t.Fatal(err)
	}
	got, err := s.Call(t.Context(), wasmabi.OpSnapshot, nil)
	if err != nil || string(got) != "context" {
		t.Errorf("got %q, %v", got, err)
	}
	if s.Fuel() == 0 {
		t.Error("the call cost nothing")
	}
}
