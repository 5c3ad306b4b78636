package policy

import (
	"testing"

	"github.com/edgehold/edgehold/wasmabi"
)

// quiet gives the same answer each time, without a number in it.
type quiet struct{ extra }

func (q *quiet) Analyze(o *Observation) Verdict { return Stay("calm") }

// What the SDK itself allocates for a call, once its buffers have grown: nothing.
func TestCallsDoNotAllocate(t *testing.T) {
	i := NewInstance(new(quiet))
	i.Call(wasmabi.OpInit, wasmabi.AppendInit(nil, rehearsalInit()))
	observation := wasmabi.AppendObservation(nil, rehearsalObservation())
	run := func() {
		if status, _ := i.Call(wasmabi.OpAnalyze, observation); status != wasmabi.StatusOK {
			t.Fatal(status)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n > 1 { // the variadic list of Stay
		t.Errorf("%v allocations", n)
	}
}
