package languages

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// story is what a node tells the policy in turn; the context goes from one pass to the next.
type story struct {
	init         *wasmabi.Init
	observations []*wasmabi.Observation
}

// tell runs the story and returns what each pass gave.
func (s story) tell(t testing.TB, m *host.Module) []trace {
	init := *s.init
	var traces []trace
	for _, o := range s.observations {
		got := episode(t, m, wasmabi.AppendInit(nil, &init), wasmabi.AppendObservation(nil, o))
		if got.Failure == "" {
			init.Context = got.Context
		}
		traces = append(traces, got)
	}
	return traces
}

// Everything that an agent or a person sees of a decision is the same in all languages: verdicts, bounds, reasons, plans,
// leases, contexts, failures.
func TestLanguagesDecideTheSame(t *testing.T) {
	reference := prepare(t, build(t, toolchain.Go))
	for l := range projects {
		if l == toolchain.Go {
			continue
		}
		t.Run(string(l), func(t *testing.T) {
			m := prepare(t, build(t, l))
			for name, s := range stories() {
				t.Run(name, func(t *testing.T) { compare(t, s, reference, m) })
			}
			t.Run("random", func(t *testing.T) {
				rapid.Check(t, func(r *rapid.T) {
					s := drawStory(r)
					if d := difference(s.tell(t, m), s.tell(t, reference)); d != "" {
						r.Fatalf("in Go (+) it is otherwise:\n%s", d)
					}
				})
			})
		})
	}
}

func compare(t *testing.T, s story, reference, m *host.Module) {
	t.Helper()
	want := s.tell(t, reference)
	if d := difference(s.tell(t, m), want); d != "" {
		t.Errorf("in Go (+) it is otherwise:\n%s", d)
	}
}

func difference(got, want []trace) string {
	return cmp.Diff(got, want, cmpopts.EquateNaNs(), cmpopts.EquateEmpty())
}

// stories are the ones that a person would think of.
func stories() map[string]story {
	two := newInit(frequency(0, 8e8, 3.5e9), frequency(4, 8e8, 2.1e9))
	change := func(f func(*wasmabi.Init)) *wasmabi.Init {
		i := newInit(frequencies(2)...)
		f(i)
		return i
	}
	hot := []*wasmabi.Observation{observed(1, 0.95, 0)}
	calm := []*wasmabi.Observation{
		observed(1, 0.95, 10), observed(2, 0.1, 0), observed(7, 0.12345, 0), observed(12, 0.29999, 3), observed(13, 0.05, 0), observed(14, 0.5, 0),
	}
	return map[string]story{
		"busy":                {two, hot},
		"calm after a while":  {two, calm},
		"calm is interrupted": {two, []*wasmabi.Observation{observed(1, 0.1, 0), observed(5, 0.4, 0), observed(9, 0.1, 0), observed(20, 0.1, 0)}},
		"clock goes back":     {two, []*wasmabi.Observation{observed(100, 0.1, 0), observed(5, 0.1, 0), observed(200, 0.1, 0)}},
		"at the bounds":       {two, []*wasmabi.Observation{observed(1, 0.8, 0), observed(2, 0.3, 0), observed(3, math.Nextafter(0.8, 1), 0)}},
		"missing":             {two, []*wasmabi.Observation{observed(1, nan, math.MaxUint32), {Seq: 2}}},
		"stale":               {two, []*wasmabi.Observation{observed(1, 0.9, 15_000), observed(2, 0.9, 15_001)}},
		"no value but an age": {two, []*wasmabi.Observation{observed(1, nan, 5)}},
		"extremes": {two, []*wasmabi.Observation{
			observed(1, math.Inf(1), 0), observed(2, math.Inf(-1), 0), observed(3, math.MaxFloat64, 0), observed(4, -5e-324, 0), observed(5, 0, 0),
			observed(6, math.Copysign(0, -1), 0),
		}},
		"no knobs":             {newInit(), hot},
		"300 knobs":            {newInit(frequencies(300)...), calm},
		"more than one window": {newInit(frequencies(900)...), hot},
		"500 knobs":            {newInit(short(500)...), hot},
		"other knobs":          {newInit(governor(), frequency(3, 1e9, 2e9)), calm},
		"knob without range":   {newInit(frequency(0, nan, nan)), hot},
		"range upside down":    {newInit(frequency(0, 2e9, 1e9)), hot},
		"infinite range":       {newInit(frequency(0, 0, math.Inf(1))), hot},
		"table with a hole":    {change(func(i *wasmabi.Init) { i.Knobs[1].Table = []float64{1, nan, 3} }), hot},
		"knob of nobody":       {change(func(i *wasmabi.Init) { i.Knobs[1].Mechanism = 7 }), hot},
		"no mechanism":         {change(func(i *wasmabi.Init) { i.Mechanisms, i.Knobs = nil, nil }), hot},
		"no metric":            {change(func(i *wasmabi.Init) { i.Metrics = nil }), hot},
		"other metrics":        {change(func(i *wasmabi.Init) { i.Metrics = metrics(20) }), hot},
		"no parameters":        {change(func(i *wasmabi.Init) { i.Parameters, i.ParameterNames = nil, nil }), hot},
		"parameter is NaN":     {change(func(i *wasmabi.Init) { i.Parameters[2] = nan }), calm},
		"parameters are huge":  {change(func(i *wasmabi.Init) { i.Parameters = []float64{1e300, 1e299, 1e300} }), calm},
		"context is rubbish":   {change(func(i *wasmabi.Init) { i.Context = []byte("rubbish") }), hot},
		"context of another":   {change(func(i *wasmabi.Init) { i.Context = otherContext() }), calm},
		"rows out of place":    {change(func(i *wasmabi.Init) { i.Metrics = append(metrics(3), i.Metrics...) }), outOfPlace()},
	}
}

// short are knobs whose infos take so little room that very many fit the window.
func short(n int) []wasmabi.KnobInfo {
	knobs := make([]wasmabi.KnobInfo, n)
	for i := range knobs {
		knobs[i] = wasmabi.KnobInfo{Name: "/max_frequency", Min: 0, Max: 1, Step: nan}
	}
	return knobs
}

func metrics(n int) []wasmabi.MetricInfo {
	var m []wasmabi.MetricInfo
	for i := range n {
		m = append(m, wasmabi.MetricInfo{Name: "metric_" + string(rune('a'+i)), Labels: []wasmabi.Label{{Name: "l", Value: "v"}}})
	}
	return m
}

// otherContext has a value of each kind, two of them under the policy's own keys but of other types.
func otherContext() []byte {
	return wasmabi.AppendContext(nil, []wasmabi.Entry{
		{Key: "mode", Kind: wasmabi.EntryText, Text: "boost"}, {Key: "calm_since", Kind: wasmabi.EntryFloat, Float: 1.5},
		{Key: "n", Kind: wasmabi.EntryFloat, Float: nan}, {Key: "b", Kind: wasmabi.EntryBool, Bool: true},
		{Key: "bytes", Kind: wasmabi.EntryBytes, Bytes: []byte{1, 2}}, {Key: "zz", Kind: wasmabi.EntryFloats, Floats: []float64{1, nan}},
		{Key: "i", Int: math.MinInt64},
	})
}

// outOfPlace has rows in another order than the metrics, twice, and of metrics that nobody knows.
func outOfPlace() []*wasmabi.Observation {
	row := func(ids []uint32, values []float64, ages []uint32) *wasmabi.Observation {
		return &wasmabi.Observation{Seq: math.MaxUint64, TimeNS: -1, Trigger: 2, IDs: ids, Values: values, AgesMS: ages}
	}
	return []*wasmabi.Observation{
		row([]uint32{3, 0}, []float64{0.9, 0.1}, []uint32{1, 2}),
		row([]uint32{3, 3, 99}, []float64{0.9, 0.1, 5}, []uint32{1, 2, 3}),
		row([]uint32{0, 1, 2}, []float64{1, 1, 1}, []uint32{0, 0, 0}),
		row([]uint32{0, 1, 2, 3}, []float64{1, 1, 1, 0.2}, []uint32{0, 0, 0, 15_001}),
		row([]uint32{math.MaxUint32}, []float64{1}, []uint32{0}),
	}
}

// drawStory draws nodes and days that nobody thought of. Times stay within a century, since Go's durations end at 292 years.
func drawStory(r *rapid.T) story {
	value := rapid.OneOf(rapid.Float64Range(0, 1), rapid.Float64(), rapid.SampledFrom([]float64{0.3, 0.8, 0, nan, math.Inf(1), 1e15, 1e-3, 0.00005}))
	init := newInit()
	for i := range rapid.IntRange(0, 5).Draw(r, "knobs") {
		k := frequency(i, value.Draw(r, "min"), value.Draw(r, "max"))
		if rapid.Bool().Draw(r, "table") {
			k.Table = rapid.SliceOfN(rapid.Float64Range(1, 1e10), 1, 4).Draw(r, "values")
		}
		init.Knobs = append(init.Knobs, k)
	}
	init.Parameters = []float64{value.Draw(r, "high"), value.Draw(r, "low"), rapid.OneOf(rapid.Float64Range(0, 3600), value).Draw(r, "calm")}
	init.Metrics = append(metrics(rapid.IntRange(0, 2).Draw(r, "metrics before")), init.Metrics...)
	s := story{init: init}
	now := rapid.Int64Range(0, 3e18).Draw(r, "start")
	for seq := range uint64(rapid.IntRange(1, 8).Draw(r, "passes")) {
		now += rapid.OneOf(rapid.Int64Range(-1e9, 20e9), rapid.Int64Range(-1e18, 1e18)).Draw(r, "passed")
		o := &wasmabi.Observation{Seq: seq, TimeNS: now, Trigger: uint32(seq % 3)}
		for id := range init.Metrics {
			if rapid.IntRange(0, 9).Draw(r, "left out") == 0 {
				continue
			}
			o.IDs = append(o.IDs, uint32(id))
			o.Values = append(o.Values, value.Draw(r, "value"))
			o.AgesMS = append(o.AgesMS, rapid.OneOf(rapid.Uint32Range(0, 16_000), rapid.Uint32()).Draw(r, "age"))
		}
		s.observations = append(s.observations, o)
	}
	return s
}
