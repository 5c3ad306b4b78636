package policy

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// headroom is heap that is touched once while the image is made, in bytes: what an episode of a middling policy
// allocates. Memory that grows later can't be taken back by a reset, and the instance would have to be made anew.
const headroom = 512 << 10

// spare is dropped at once; it is a variable so that the compiler can't leave the allocation out.
var spare []byte

// rehearse plays an episode of a policy that does nothing. The host freezes the module after its initialisation, so
// what the Go runtime sets up at a first use, such as spans for each size of object, is there in every instance
// and is not set up again in every episode.
func rehearse() {
	spare = make([]byte, headroom)
	for i := 0; i < len(spare); i += 4096 {
		spare[i] = 1
	}
	spare = nil

	i := NewInstance(new(extra))
	observation := wasmabi.AppendObservation(nil, rehearsalObservation())
	for _, c := range []struct {
		op      wasmabi.Op
		request []byte
	}{
		{wasmabi.OpInit, wasmabi.AppendInit(nil, rehearsalInit())},
		{wasmabi.OpAnalyze, observation},
		{wasmabi.OpPlan, observation},
		{wasmabi.OpSnapshot, nil},
	} {
		if status, _ := i.Call(c.op, c.request); status != wasmabi.StatusOK {
			panic("rehearse " + c.op.String() + ": " + status.String())
		}
	}
}

const rehearsalMetrics, rehearsalKnobs = 8, 4

func rehearsalInit() *wasmabi.Init {
	m := &wasmabi.Init{
		Mechanisms: []string{"m"}, Features: []string{"f"},
		Parameters: []float64{1, 2}, ParameterNames: []string{"p", "q"},
		Context: wasmabi.AppendContext(nil, []wasmabi.Entry{{Key: "n", Int: 1}, {Key: "t", Kind: wasmabi.EntryInt}}),
	}
	for range rehearsalMetrics {
		m.Metrics = append(m.Metrics, wasmabi.MetricInfo{Name: "metric", Labels: []wasmabi.Label{{Name: "l", Value: "v"}}})
	}
	for range rehearsalKnobs {
		m.Knobs = append(m.Knobs, wasmabi.KnobInfo{
			Name: "policy0/knob", Unit: "Hz", Kind: wasmabi.KnobNumber, Max: 1, Step: math.NaN(),
			Table: []float64{0, 1}, Choices: []string{"a", "b"},
		})
	}
	return m
}

func rehearsalObservation() *wasmabi.Observation {
	o := &wasmabi.Observation{Seq: 1, TimeNS: 1}
	for i := range uint32(rehearsalMetrics) {
		o.IDs, o.Values, o.AgesMS = append(o.IDs, i), append(o.Values, 1), append(o.AgesMS, 0)
	}
	for i := range uint32(rehearsalKnobs) {
		o.KnobIDs, o.KnobValues = append(o.KnobIDs, i), append(o.KnobValues, 0)
	}
	return o
}

// extra is the policy of the rehearsal.
type extra struct {
	metric Metric
	knobs  []Knob
	count  int64
	since  time.Time
}

func (e *extra) Initialize(s *Setup) error {
	e.metric = s.Metric("metric", "l", "v")
	e.knobs = s.Knobs("m", "*/knob")
	e.count = int64(s.Parameter("q"))
	return nil
}

func (e *extra) Analyze(o *Observation) Verdict {
	v, _ := o.Value(e.metric)
	e.since = o.Time()
	return Act("metric ", v, " is above ", 0.5, " for ", 3*time.Second, ": ", e.count).WakeAbove(e.metric, 2).WakeBelow(e.metric, 0)
}

func (e *extra) Plan(_ *Observation, p *Plan) error {
	p.SetMax(e.knobs...).For(time.Second)
	p.Why("to ", e.knobs[0].In(1))
	return nil
}

func (e *extra) Save(s *State) {
	s.PutInt("n", e.count)
	s.PutTime("t", e.since)
}

func (e *extra) Load(s *State) {
	e.count = s.Int("n")
	e.since = s.Time("t")
}
