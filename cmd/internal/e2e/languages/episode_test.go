package languages

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// trace is what an episode gave: the bytes of its responses, or the call that failed.
type trace struct {
	Analysis wasmabi.Analysis
	Plan     wasmabi.Plan
	Context  []byte
	Failure  string // which call failed, by which status, and with which message
}

// episode runs one pass the way an agent does.
func episode(t testing.TB, m *host.Module, init, observation []byte) (got trace) {
	t.Helper()
	s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1e9, 0), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	call := func(op wasmabi.Op, request []byte) []byte {
		if got.Failure != "" {
			return nil
		}
		response, err := s.Call(t.Context(), op, request)
		got.Failure = failure(op, err)
		return bytes.Clone(response)
	}
	call(wasmabi.OpInit, init)
	if analysis := call(wasmabi.OpAnalyze, observation); got.Failure == "" {
		must(t, wasmabi.DecodeAnalysis(analysis, &got.Analysis))
	}
	if got.Analysis.Plan {
		if plan := call(wasmabi.OpPlan, observation); got.Failure == "" {
			must(t, wasmabi.DecodePlan(plan, &got.Plan))
		}
	}
	got.Context = call(wasmabi.OpSnapshot, nil)
	return got
}

// failure tells an error of a guest by what an author sees. The words about malformed bytes are each SDK's own.
func failure(op wasmabi.Op, err error) string {
	var e *host.CallError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &e):
		return op.String() + ": " + err.Error()
	case e.Code == "guest.abi.malformed" || e.Code == "guest.policy.context":
		return op.String() + ": " + e.Code // the words are each SDK's own
	}
	return op.String() + ": " + e.Code + ": " + e.Message
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
