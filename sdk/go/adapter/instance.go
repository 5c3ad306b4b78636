package adapter

import (
	"errors"
	"math"

	"github.com/edgehold/edgehold/wasmabi"
)

// Instance is an adapter behind the calls of the ABI, without Wasm: for test harnesses such as adaptertest. A module has
// one of its own, which [Register] fills.
type Instance struct {
	adapter Adapter
	host    Host
	ready   bool
	out     []byte
}

// Host carries out what an adapter asks of a handle, with the results of wasmabi.ImportCall.
type Host interface {
	Call(handle, op uint32, in []byte) (wasmabi.Status, []byte)
}

// NewInstance makes an instance of a.
func NewInstance(a Adapter) *Instance { return &Instance{adapter: a, host: theHost} }

// On gives the instance another host than the module's.
func (i *Instance) On(h Host) *Instance {
	i.host = h
	return i
}

var (
	errNotReady  = &wasmabi.Error{Code: "adapter.not-initialized", Message: "called before init"}
	errNoAdapter = &wasmabi.Error{Code: "adapter.not-registered", Message: "the module registers no adapter: call adapter.Register in an init function"}
)

// Call answers one call. The response holds until the next one; with wasmabi.StatusGuest it is an encoded wasmabi.Error.
func (i *Instance) Call(op wasmabi.Op, request []byte) (wasmabi.Status, []byte) {
	i.out = i.out[:0]
	status, err := i.dispatch(op, request)
	if err != nil {
		return i.failed(err)
	}
	return status, i.out
}

func (i *Instance) dispatch(op wasmabi.Op, request []byte) (wasmabi.Status, error) {
	switch {
	case i.adapter == nil:
		return 0, errNoAdapter
	case op == wasmabi.OpInit:
		return wasmabi.StatusOK, i.initialize(request)
	case op == wasmabi.OpHealth:
		return wasmabi.StatusOK, nil
	case op > wasmabi.OpRevert:
		return wasmabi.StatusUnsupported, nil
	case !i.ready:
		return 0, errNotReady
	}
	switch op {
	case wasmabi.OpOptions:
		return wasmabi.StatusOK, i.options()
	case wasmabi.OpState:
		return wasmabi.StatusOK, i.state(request)
	case wasmabi.OpApply:
		return wasmabi.StatusOK, each(request, i.adapter.Write)
	case wasmabi.OpRevert:
		if a, ok := i.adapter.(Reverter); ok {
			return wasmabi.StatusOK, each(request, a.Revert)
		}
	case wasmabi.OpPlan:
		if a, ok := i.adapter.(Foreteller); ok {
			return wasmabi.StatusOK, i.foretell(a, request)
		}
	}
	return wasmabi.StatusUnsupported, nil
}

// failed encodes err for the host. Bytes that can't be decoded are the host's fault and have a status of their own.
func (i *Instance) failed(err error) (wasmabi.Status, []byte) {
	status, code := wasmabi.StatusGuest, "adapter.failed"
	var malformed *wasmabi.MalformedError
	if errors.As(err, &malformed) {
		status = wasmabi.StatusInvalid
	}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		code = coded.ErrorCode()
	}
	i.out = wasmabi.AppendError(i.out[:0], &wasmabi.Error{Code: clip(code, wasmabi.MaxName), Message: clip(err.Error(), wasmabi.MaxText), Retryable: IsAway(err)})
	return status, i.out
}

func (i *Instance) initialize(request []byte) error {
	own := append([]byte(nil), request...) // the next call writes the window again
	s := &Setup{init: new(wasmabi.Init), host: i.host}
	if err := wasmabi.DecodeInit(own, s.init); err != nil {
		return err
	}
	err := i.adapter.Initialize(s)
	if err == nil && s.problem != "" {
		err = &wasmabi.Error{Code: "adapter.not-found", Message: s.problem}
	}
	i.ready = err == nil
	return err
}

func (i *Instance) options() error {
	knobs, err := i.adapter.Knobs()
	if err != nil {
		return err
	}
	var m wasmabi.Options
	for k := range knobs {
		m.Knobs = append(m.Knobs, option(&knobs[k]))
	}
	i.out = wasmabi.AppendOptions(i.out, &m)
	return nil
}

func option(k *Knob) wasmabi.KnobOption {
	o := wasmabi.KnobOption{
		Name: k.Name, Summary: clip(k.Summary, wasmabi.MaxText), Unit: k.Unit, Kind: wasmabi.KnobNumber, Min: k.Min, Max: k.Max, Step: k.Step,
		Table: k.Table, Choices: k.Choices, Driver: k.Driver, Conflict: k.Conflict, Affects: k.Affects, ReadOnly: k.ReadOnly,
		Unavailable: clip(k.Unavailable, wasmabi.MaxText),
	}
	if len(k.Choices) > 0 {
		o.Kind, o.Min, o.Max = wasmabi.KnobChoice, math.NaN(), math.NaN()
	}
	if k.Step == 0 {
		o.Step = math.NaN()
	}
	return o
}

func (i *Instance) state(request []byte) error {
	var asked wasmabi.Names
	if err := wasmabi.DecodeNames(request, &asked); err != nil {
		return err
	}
	all := len(asked.Names) == 0
	if all {
		knobs, err := i.adapter.Knobs()
		if err != nil {
			return err
		}
		for k := range knobs {
			asked.Names = append(asked.Names, knobs[k].Name)
		}
	}
	var m wasmabi.Readings
	for _, name := range asked.Names {
		v, err := i.adapter.Read(name)
		m.Readings = append(m.Readings, reading(name, v, err))
	}
	if a, ok := i.adapter.(Reporter); ok && all {
		for _, f := range a.Facts() {
			m.Facts = append(m.Facts, wasmabi.Label{Name: clip(f.Name, wasmabi.MaxName), Value: clip(f.Value, wasmabi.MaxName)})
		}
	}
	i.out = wasmabi.AppendReadings(i.out, &m)
	return nil
}

func reading(knob string, v Value, err error) wasmabi.KnobReading {
	r := wasmabi.KnobReading{Knob: knob, Number: v.Number, Choice: v.Choice}
	if v.Choice != "" || err != nil {
		r.Number = math.NaN()
	}
	if err != nil {
		r.Choice, r.Problem, r.Away = "", clip(err.Error(), wasmabi.MaxText), IsAway(err)
		if r.Problem == "" {
			r.Problem = "it can't be read"
		}
	}
	return r
}

// each carries settings out one after the other, up to the first that fails.
func each(request []byte, do func(string, Value) error) error {
	var m wasmabi.Settings
	if err := wasmabi.DecodeSettings(request, &m); err != nil {
		return err
	}
	for k := range m.Settings {
		if err := do(m.Settings[k].Knob, valueOf(&m.Settings[k])); err != nil {
			return err
		}
	}
	return nil
}

func valueOf(s *wasmabi.KnobSetting) Value {
	if s.Choice != "" {
		return Choice(s.Choice)
	}
	return Number(s.Number)
}

func (i *Instance) foretell(a Foreteller, request []byte) error {
	var m wasmabi.Readings
	err := each(request, func(knob string, v Value) error {
		would, err := a.Foretell(knob, v)
		m.Readings = append(m.Readings, reading(knob, would, err))
		return nil
	})
	i.out = wasmabi.AppendReadings(i.out, &m)
	return err
}

// clip keeps a text within the ABI's bound, on a whole character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
