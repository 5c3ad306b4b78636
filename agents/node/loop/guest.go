package loop

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/node/fault"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/wasmabi"
)

// Guest is a prepared module as the engine sees it: a policy.
type Guest struct {
	Module     *host.Module
	Dictionary *Dictionary
	Plans      *atomic.Uint64 // counts the plans that it made; may be nil
}

var (
	_ agents.Policy   = (*Guest)(nil)
	_ agents.Migrator = (*Guest)(nil)
)

// maxRecord bounds what is kept of one pass for replay.
const maxRecord = 512 << 10

// Begin takes a fresh instance and initialises it.
func (g *Guest) Begin(ctx context.Context, in agents.Input) (agents.Episode, error) {
	e := &episode{guest: g, in: in, recorder: record.NewRecorder(maxRecord)}
	session, err := g.Module.Begin(ctx, host.SessionConfig{Time: in.Time, Seed: in.Seed, Recorder: e.recorder})
	if err != nil {
		return nil, err
	}
	e.session = session
	init := g.Dictionary.init
	init.Context, init.ContextSchema = in.Context, g.Module.Manifest().StateSchema
	request := wasmabi.AppendInit(nil, &init)
	e.initBytes = len(request) - len(in.Context)
	if _, err := session.Call(ctx, wasmabi.OpInit, request); err != nil {
		session.Close()
		return nil, err
	}
	return e, nil
}

// Migrate asks the module to read a context of an older layout.
func (g *Guest) Migrate(ctx context.Context, from uint32, state []byte) ([]byte, error) {
	session, err := g.Module.Begin(ctx, host.SessionConfig{Time: time.Unix(0, 0)})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	init := g.Dictionary.init
	init.Context = nil
	if _, err := session.Call(ctx, wasmabi.OpInit, wasmabi.AppendInit(nil, &init)); err != nil {
		return nil, fmt.Errorf("initialise for migration: %w", err)
	}
	migrated, err := session.Call(ctx, wasmabi.OpMigrate, wasmabi.AppendMigrate(nil, &wasmabi.Migrate{FromSchema: from, Context: state}))
	if err != nil {
		return nil, fmt.Errorf("migrate context from schema %d: %w", from, err)
	}
	return append([]byte(nil), migrated...), nil
}

// Try runs a module's Initialize once, so that a version which can't start is refused before anything depends on it.
func (g *Guest) Try(ctx context.Context, now time.Time) error {
	e, err := g.Begin(ctx, agents.Input{Time: now})
	if err != nil {
		return err
	}
	_, err = e.End(ctx)
	return err
}

// episode is one pass over one observation, in one instance.
type episode struct {
	guest    *Guest
	in       agents.Input
	session  *host.Session
	recorder *record.Recorder
	request  []byte
	failed   bool

	initBytes int // of Initialize's request, without the context
}

func (e *episode) Analyze(ctx context.Context) (agents.Verdict, error) {
	e.request = wasmabi.AppendObservation(nil, e.observation())
	response, err := e.call(ctx, wasmabi.OpAnalyze)
	if err != nil {
		return agents.Verdict{}, err
	}
	var a wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(response, &a); err != nil {
		return agents.Verdict{}, e.badAnswer("Analyze", err)
	}
	return e.verdict(&a)
}

func (e *episode) Plan(ctx context.Context) (agents.Plan, error) {
	response, err := e.call(ctx, wasmabi.OpPlan)
	if err != nil {
		return agents.Plan{}, err
	}
	var p wasmabi.Plan
	if err := wasmabi.DecodePlan(response, &p); err != nil {
		return agents.Plan{}, e.badAnswer("Plan", err)
	}
	if e.guest.Plans != nil {
		e.guest.Plans.Add(1)
	}
	return e.plan(&p)
}

func (e *episode) call(ctx context.Context, op wasmabi.Op) ([]byte, error) {
	response, err := e.session.Call(ctx, op, e.request)
	e.failed = e.failed || err != nil
	return response, err
}

// End asks for the context, unless a call has failed: what a broken pass leaves behind is not trusted.
func (e *episode) End(ctx context.Context) (agents.Trace, error) {
	defer e.session.Close()
	t := agents.Trace{Context: e.in.Context}
	var err error
	if !e.failed {
		var state []byte
		if state, err = e.session.Call(ctx, wasmabi.OpSnapshot, nil); err == nil {
			err = e.checkContext(state)
		}
		if err == nil {
			t.Context = append([]byte(nil), state...)
		}
	}
	recorded := e.recorder.Episode()
	for _, c := range recorded.Calls {
		t.Fuel += c.Fuel
	}
	var unrecorded error
	t.Record, unrecorded = recorded.Encode()
	return t, errors.Join(err, unrecorded)
}

// checkContext refuses a context with which the policy could not begin again: it would be lost for good, and every later
// version of it.
func (e *episode) checkContext(state []byte) error {
	const head = 8 // what a longer byte string needs more than a shorter one, at most
	if n, most := e.initBytes+head+len(state), e.session.RequestWindow(); n > most {
		return &fault.Error{
			Code: "policy.context-too-large", What: "keep the context of " + e.guest.Module.Manifest().Name,
			Why:  fmt.Sprintf("with its %d bytes the request of Initialize has %d, and the policy's window takes %d", len(state), n, most),
			Hint: "save less, or reserve a larger request window",
		}
	}
	return nil
}

// observation puts the readings into the columns that the policy knows. Readings are found by name, so that an
// observation that was made for the version before is read rightly by the version that has just replaced it.
func (e *episode) observation() *wasmabi.Observation {
	init, in := &e.guest.Dictionary.init, &e.in.Observation
	o := &wasmabi.Observation{Seq: e.in.Seq, TimeNS: e.in.Time.UnixNano(), Trigger: trigger(e.in.Trigger.Kind)}
	for id := range init.Metrics {
		value, age := math.NaN(), uint32(wasmabi.AgeMissing)
		if i := findReading(in.Readings, id, e.guest.Dictionary.labels[id]); i >= 0 && !in.Readings[i].Missing() {
			value, age = in.Readings[i].Value, AgeMS(in.Readings[i].Age)
		}
		o.IDs = append(o.IDs, uint32(id))
		o.Values = append(o.Values, value)
		o.AgesMS = append(o.AgesMS, age)
	}
	for id, k := range init.Knobs {
		i := findKnob(in.Knobs, id, init.Mechanisms[k.Mechanism], k.Name)
		if i < 0 {
			continue
		}
		o.KnobIDs = append(o.KnobIDs, uint32(id))
		o.KnobValues = append(o.KnobValues, e.guest.Dictionary.encode(id, in.Knobs[i].Value))
	}
	return o
}

func findReading(readings []agents.Reading, guess int, name string) int {
	if guess < len(readings) && readings[guess].Name == name {
		return guess
	}
	for i := range readings {
		if readings[i].Name == name {
			return i
		}
	}
	return -1
}

func findKnob(knobs []agents.KnobReading, guess int, mechanism, knob string) int {
	if guess < len(knobs) && knobs[guess].Knob == knob && knobs[guess].Mechanism == mechanism {
		return guess
	}
	for i := range knobs {
		if knobs[i].Knob == knob && knobs[i].Mechanism == mechanism {
			return i
		}
	}
	return -1
}

// AgeMS is the age of a reading as observations carry it.
func AgeMS(age time.Duration) uint32 {
	return uint32(min(max(age.Milliseconds(), 0), wasmabi.AgeMissing-1))
}

func trigger(k agents.TriggerKind) uint32 {
	switch k {
	case agents.Wake:
		return wasmabi.TriggerWake
	case agents.Manual:
		return wasmabi.TriggerManual
	}
	return wasmabi.TriggerPeriodic
}

func (e *episode) verdict(a *wasmabi.Analysis) (agents.Verdict, error) {
	metrics := e.guest.Dictionary.init.Metrics
	v := agents.Verdict{Plan: a.Plan, Why: a.Why, Next: time.Duration(a.NextMS) * time.Millisecond}
	for i, id := range a.BoundIDs {
		if int(id) >= len(metrics) {
			return v, e.badAnswer("Analyze", fmt.Errorf("it bounds metric %d of %d", id, len(metrics)))
		}
		v.Bounds = append(v.Bounds, agents.Bound{
			ID: id, Metric: metrics[id].Name, Unit: metrics[id].Unit, Above: a.Above[i], Below: a.Below[i],
		})
	}
	return v, nil
}

func (e *episode) plan(p *wasmabi.Plan) (agents.Plan, error) {
	out := agents.Plan{Why: p.Why}
	for i := range p.Mechanisms {
		a, err := e.action(p, i)
		if err != nil {
			return agents.Plan{}, e.badAnswer("Plan", err)
		}
		out.Actions = append(out.Actions, a)
	}
	return out, nil
}

func (e *episode) action(p *wasmabi.Plan, i int) (agents.Action, error) {
	dict := e.guest.Dictionary
	if int(p.Mechanisms[i]) >= len(dict.init.Mechanisms) {
		return agents.Action{}, fmt.Errorf("setting %d names mechanism %d of %d", i, p.Mechanisms[i], len(dict.init.Mechanisms))
	}
	a := agents.Action{
		Mechanism: dict.init.Mechanisms[p.Mechanisms[i]], Knob: agents.AllKnobs, Verb: agents.Set,
		Lease: time.Duration(p.LeaseMS[i]) * time.Millisecond,
	}
	switch p.Verbs[i] {
	case wasmabi.VerbSet:
	case wasmabi.VerbReset:
		a.Verb = agents.Reset
	default:
		return a, fmt.Errorf("setting %d has the unknown verb %d", i, p.Verbs[i])
	}
	if p.Knobs[i] == wasmabi.AllKnobs {
		return a, nil
	}
	id := int(p.Knobs[i])
	if id >= len(dict.knobs) || dict.init.Knobs[id].Mechanism != p.Mechanisms[i] {
		return a, fmt.Errorf("setting %d names knob %d, which %s does not have", i, id, a.Mechanism)
	}
	a.Knob, a.Unit = dict.knobs[id].Name, dict.knobs[id].Unit
	if a.Verb == agents.Set {
		v, ok := dict.decode(id, p.Values[i])
		if !ok {
			return a, fmt.Errorf("setting %d puts %s to choice %v of %d", i, a.Knob, p.Values[i], len(dict.knobs[id].Choices))
		}
		a.Value = v
	}
	return a, nil
}

func (e *episode) badAnswer(entry string, err error) error {
	e.failed = true
	return &fault.Error{
		Code: "policy.bad-answer", What: "read the answer of " + entry, Why: err.Error(), Err: err,
		Hint: "build the policy with the SDK of this ABI version, or check its encoder against wasmabi/testdata/vectors",
	}
}

// metricLabel is a metric's name as people write it: node_load1{instance="a"}.
func metricLabel(name string, labels []wasmabi.Label) string {
	if len(labels) == 0 {
		return name
	}
	b := []byte(name + "{")
	for i, l := range labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%s=%q", l.Name, l.Value)
	}
	return string(append(b, '}'))
}
