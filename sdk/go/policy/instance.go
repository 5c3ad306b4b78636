package policy

import (
	"errors"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Instance is a policy behind the calls of the ABI, without Wasm: for test harnesses such as policytest. A module
// has one of its own, which [Register] fills.
type Instance struct {
	policy Policy
	setup  Setup
	ready  bool

	observation Observation
	analysis    wasmabi.Analysis
	plan        wasmabi.Plan
	state       State
	out         []byte
}

// NewInstance makes an instance of p.
func NewInstance(p Policy) *Instance { return &Instance{policy: p} }

var (
	errNotReady   = &wasmabi.Error{Code: "policy.not-initialized", Message: "analyze before init"}
	errNoPolicy   = &wasmabi.Error{Code: "policy.not-registered", Message: "the module registers no policy: call policy.Register in an init function"}
	errNoMigrator = &wasmabi.Error{Code: "policy.no-migration", Message: "the policy has no Migrate method"}
)

// Call answers one call. The response holds until the next one; with wasmabi.StatusGuest it is an encoded
// wasmabi.Error.
func (i *Instance) Call(op wasmabi.Op, request []byte) (wasmabi.Status, []byte) {
	i.out = i.out[:0]
	status, err := i.dispatch(op, request)
	if err != nil {
		return i.failed(err)
	}
	return status, i.out
}

func (i *Instance) dispatch(op wasmabi.Op, request []byte) (wasmabi.Status, error) {
	if i.policy == nil {
		return 0, errNoPolicy
	}
	switch op {
	case wasmabi.OpInit:
		return wasmabi.StatusOK, i.initialize(request)
	case wasmabi.OpAnalyze:
		return wasmabi.StatusOK, i.analyze(request)
	case wasmabi.OpPlan:
		return wasmabi.StatusOK, i.makePlan(request)
	case wasmabi.OpSnapshot:
		return wasmabi.StatusOK, i.snapshot()
	case wasmabi.OpMigrate:
		return wasmabi.StatusOK, i.migrate(request)
	case wasmabi.OpHealth:
		return wasmabi.StatusOK, nil
	}
	return wasmabi.StatusUnsupported, nil
}

// failed encodes err for the host. Bytes that can't be decoded are the host's fault and have a status of their own.
func (i *Instance) failed(err error) (wasmabi.Status, []byte) {
	status, code := wasmabi.StatusGuest, "policy.failed"
	var malformed *wasmabi.MalformedError
	if errors.As(err, &malformed) {
		status = wasmabi.StatusInvalid
	}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		code = coded.ErrorCode()
	}
	message := err.Error()
	if own, ok := err.(*wasmabi.Error); ok {
		message = own.Message
	}
	i.out = wasmabi.AppendError(i.out[:0], &wasmabi.Error{Code: code, Message: clip(message)})
	return status, i.out
}

func (i *Instance) initialize(request []byte) error {
	// The window is written again by the next call, and what is decoded here refers to its bytes.
	own := append([]byte(nil), request...)
	i.setup = Setup{init: new(wasmabi.Init)}
	if err := wasmabi.DecodeInit(own, i.setup.init); err != nil {
		return err
	}
	err := i.policy.Initialize(&i.setup)
	if err == nil && i.setup.problem != "" {
		err = &wasmabi.Error{Code: "policy.not-found", Message: i.setup.problem}
	}
	if err != nil {
		return err
	}
	i.ready = true
	return i.load()
}

func (i *Instance) load() error {
	p, ok := i.policy.(Stateful)
	if !ok || len(i.setup.init.Context) == 0 {
		return nil
	}
	if err := i.readState(i.setup.init.Context); err != nil {
		return err
	}
	p.Load(&i.state)
	return nil
}

func (i *Instance) readState(context []byte) (err error) {
	i.state.entries, err = wasmabi.DecodeContext(context, i.state.entries[:0])
	if err != nil {
		return &wasmabi.Error{Code: "policy.context", Message: "read the saved state: " + err.Error()}
	}
	return nil
}

func (i *Instance) analyze(request []byte) error {
	if err := i.observe(request); err != nil {
		return err
	}
	v := i.policy.Analyze(&i.observation)
	return i.answer(&v)
}

func (i *Instance) observe(request []byte) error {
	if !i.ready {
		return errNotReady
	}
	if err := wasmabi.DecodeObservation(request, &i.observation.m); err != nil {
		return err
	}
	i.observation.index(len(i.setup.init.Metrics))
	return nil
}

func (i *Instance) answer(v *Verdict) error {
	a := &i.analysis
	a.Seq, a.Plan, a.Why = i.observation.m.Seq, v.act, clip(v.why)
	a.NextMS = uint32(min(max(v.next.Milliseconds(), 0), int64(24*time.Hour/time.Millisecond)))
	a.BoundIDs, a.Above, a.Below = a.BoundIDs[:0], a.Above[:0], a.Below[:0]
	for _, b := range v.bounds {
		id, ok := b.metric.id()
		if !ok {
			return &wasmabi.Error{Code: "policy.not-found", Message: "wake on a metric that was not found at initialisation"}
		}
		a.BoundIDs = append(a.BoundIDs, id)
		a.Above = append(a.Above, b.above)
		a.Below = append(a.Below, b.below)
	}
	i.out = wasmabi.AppendAnalysis(i.out, a)
	return nil
}

func (i *Instance) makePlan(request []byte) error {
	if err := i.observe(request); err != nil {
		return err
	}
	m := &i.plan
	m.Seq, m.Why = i.observation.m.Seq, ""
	m.Mechanisms, m.Verbs, m.Knobs = m.Mechanisms[:0], m.Verbs[:0], m.Knobs[:0]
	m.Values, m.LeaseMS = m.Values[:0], m.LeaseMS[:0]
	p := Plan{m: m}
	if err := i.policy.Plan(&i.observation, &p); err != nil {
		return err
	}
	if p.problem != "" {
		return &wasmabi.Error{Code: "policy.plan", Message: p.problem}
	}
	m.Why = clip(m.Why)
	i.out = wasmabi.AppendPlan(i.out, m)
	return nil
}

func (i *Instance) snapshot() error {
	p, ok := i.policy.(Stateful)
	if !ok {
		return nil
	}
	if !i.ready {
		return errNotReady
	}
	p.Save(&i.state)
	return i.writeState()
}

func (i *Instance) writeState() error {
	i.out = wasmabi.AppendContext(i.out, i.state.entries)
	if _, err := wasmabi.DecodeContext(i.out, nil); err != nil || len(i.out) > wasmabi.MaxContext {
		return &wasmabi.Error{Code: "policy.context", Message: "the saved state is larger than 64 KiB, or a key is empty or longer than 64 bytes"}
	}
	return nil
}

func (i *Instance) migrate(request []byte) error {
	p, ok := i.policy.(Migrator)
	if !ok {
		return errNoMigrator
	}
	var m wasmabi.Migrate
	if err := wasmabi.DecodeMigrate(append([]byte(nil), request...), &m); err != nil {
		return err
	}
	if err := i.readState(m.Context); err != nil {
		return err
	}
	if err := p.Migrate(m.FromSchema, &i.state); err != nil {
		return err
	}
	return i.writeState()
}

// clip keeps a text within the ABI's bound, on a whole character.
func clip(s string) string {
	if len(s) <= wasmabi.MaxText {
		return s
	}
	n := wasmabi.MaxText
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
