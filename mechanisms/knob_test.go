package mechanisms

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawKnob(t *rapid.T) Knob {
	k := Knob{Name: "k", Kind: KindNumber, Unit: "Hz"}
	if rapid.Bool().Draw(t, "has table") {
		k.Table = rapid.SliceOfNDistinct(rapid.Float64Range(1, 1e10), 1, 20, rapid.ID[float64]).Draw(t, "table")
		slices.Sort(k.Table)
		k.Min, k.Max = k.Table[0], k.Table[len(k.Table)-1]
		return k
	}
	k.Min = float64(rapid.IntRange(-1000, 1000).Draw(t, "min"))
	k.Max = k.Min + float64(rapid.IntRange(0, 1000).Draw(t, "width"))
	k.Step = float64(rapid.IntRange(0, 50).Draw(t, "step"))
	return k
}

func drawRule(t *rapid.T) Rule {
	r := Rule{MaxStep: rapid.SampledFrom([]float64{0, 1, 30, 1e9}).Draw(t, "max step")}
	a, b := rapid.Float64Range(-2000, 1.1e10).Draw(t, "bound"), rapid.Float64Range(-2000, 1.1e10).Draw(t, "other bound")
	if rapid.Bool().Draw(t, "has min") {
		r.Min = ptr(min(a, b))
	}
	if rapid.Bool().Draw(t, "has max") {
		r.Max = ptr(max(a, b))
	}
	return r
}

// TestAdmittedValuesAreWithinEverything holds whatever the knob, the rules and the wish: an admitted value is one that the
// hardware has and the operator permits, within a step of the present one where there was one to keep to; and one that
// needed no correction is not corrected.
func TestAdmittedValuesAreWithinEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKnob(t)
		e := Envelope{Rules: []Rule{drawRule(t), drawRule(t)}}
		b := e.of("m", "k")
		at, _ := k.snap(rapid.Float64Range(k.Min, k.Max).Draw(t, "now"), k.Min, k.Max)
		asked := rapid.Float64Range(-1e4, 2e10).Draw(t, "asked")
		v, reason, err := b.admit(k, Number(at), Number(asked))
		if err != nil {
			return
		}
		n := v.Number
		switch {
		case n < b.lo || n > b.hi:
			t.Fatalf("%v is outside of the envelope %v to %v", n, b.lo, b.hi)
		case n < k.Min || n > k.Max || (len(k.Table) > 0 && !slices.Contains(k.Table, n)):
			t.Fatalf("the hardware has no %v", n)
		case b.within(k, at) && (n < at-b.maxStep || n > at+b.maxStep):
			t.Fatalf("from %v to %v is more than %v", at, n, b.maxStep)
		case (n == asked) != (reason == ""):
			t.Fatalf("asked %v, admitted %v, reason %q", asked, n, reason)
		}
	})
}

// TestManyAtOnce is for the race detector.
func TestManyAtOnce(t *testing.T) {
	b := newBench(t, Config{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 25 {
				r, _ := b.Apply(t.Context(), turnTo(string(rune('p'+i)), i, "[a-d]", Number(float64(10*i))))
				b.Renew(t.Context(), r.Lease, time.Minute)
				b.State(t.Context(), "Rack")
				b.Leases()
				b.clock.move(time.Second)
				b.Expire(t.Context())
				b.CheckDrift(t.Context())
			}
		})
	}
	wg.Wait()
	b.RevertAll(context.Background(), "end")
	if b.Outstanding() != 0 {
		t.Errorf("%d outstanding", b.Outstanding())
	}
}
