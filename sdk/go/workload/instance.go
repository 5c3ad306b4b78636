package workload

import (
	"math"

	"github.com/edgehold/edgehold/wasmabi"
)

// Instance is a workload behind the calls of the ABI, without Wasm: for tests. A module has one of its own, which [Register] fills.
type Instance struct {
	workload Workload
	host     Host
	started  bool
	input    wasmabi.Input
	emission wasmabi.Emission
	out      []byte
}

// NewInstance makes an instance of w.
func NewInstance(w Workload) *Instance { return &Instance{workload: w, host: theHost} }

// On gives the instance another host than the module's.
func (i *Instance) On(h Host) *Instance {
	i.host = h
	return i
}

var (
	errNotStarted  = &wasmabi.Error{Code: "workload.not-started", Message: "called before start"}
	errNoWorkload  = &wasmabi.Error{Code: "workload.not-registered", Message: "the module registers no workload: call workload.Register in an init function"}
	errNoReceiver  = &wasmabi.Error{Code: "workload.no-input", Message: "the workload has no method Input"}
	errTooManyRows = &wasmabi.Error{Code: "workload.too-many", Message: "one turn emitted more than it may"}
)

// Call answers one call. The response holds until the next one; with wasmabi.StatusGuest it is an encoded wasmabi.Error.
func (i *Instance) Call(op wasmabi.Op, request []byte) (wasmabi.Status, []byte) {
	e := &i.emission
	*e = wasmabi.Emission{IDs: e.IDs[:0], Values: e.Values[:0], DataIDs: e.DataIDs[:0], Data: e.Data[:0]}
	turn := Turn{emission: e}
	known, err := i.dispatch(&turn, op, request)
	if err == nil && turn.full {
		err = errTooManyRows
	}
	if err != nil {
		return i.failed(err)
	}
	if !known {
		return wasmabi.StatusUnsupported, nil
	}
	i.out = wasmabi.AppendEmission(i.out[:0], e)
	return wasmabi.StatusOK, i.out
}

func (i *Instance) dispatch(t *Turn, op wasmabi.Op, request []byte) (known bool, err error) {
	switch {
	case i.workload == nil:
		return true, errNoWorkload
	case op == wasmabi.OpStart:
		return true, i.start(t, request)
	case op == wasmabi.OpHealth:
		return true, nil
	case op < wasmabi.OpStart || op > wasmabi.OpStop:
		return false, nil
	case !i.started:
		return true, errNotStarted
	case op == wasmabi.OpStop:
		i.started = false
		w, ok := i.workload.(Stopper)
		if !ok {
			return true, nil
		}
		return true, w.Stop(t)
	}
	if err := wasmabi.DecodeInput(request, &i.input); err != nil {
		return true, err
	}
	t.timeNS = i.input.TimeNS
	if op == wasmabi.OpInput {
		return true, i.receive(t)
	}
	w, ok := i.workload.(Ticker)
	if !ok {
		return false, nil
	}
	return true, w.Tick(t)
}

func (i *Instance) start(t *Turn, request []byte) error {
	own := append([]byte(nil), request...) // the next call writes the window again
	s := &Setup{start: new(wasmabi.Start), host: i.host}
	if err := wasmabi.DecodeStart(own, s.start); err != nil {
		return err
	}
	t.timeNS = s.start.TimeNS
	err := i.workload.Start(s)
	if err == nil && s.problem != "" {
		err = &wasmabi.Error{Code: "workload.not-found", Message: s.problem}
	}
	i.started = err == nil
	return err
}

func (i *Instance) receive(t *Turn) error {
	w, ok := i.workload.(Receiver)
	if !ok {
		return errNoReceiver
	}
	in := &i.input
	for n, id := range in.IDs {
		if err := w.Input(t, Value{Input: Input{id}, Number: in.Values[n]}); err != nil {
			return err
		}
	}
	for n, id := range in.DataIDs {
		if err := w.Input(t, Value{Input: Input{id}, Bytes: in.Data[n]}); err != nil {
			return err
		}
	}
	return nil
}

// failed encodes err for the host. Bytes that can't be decoded are the host's fault and have a status of their own.
func (i *Instance) failed(err error) (wasmabi.Status, []byte) {
	status, e := wasmabi.StatusGuest, wasmabi.Error{Code: "workload.failed", Message: err.Error()}
	switch err := err.(type) {
	case *wasmabi.MalformedError:
		status = wasmabi.StatusInvalid
	case *wasmabi.Error:
		e = *err
	}
	if len(e.Message) > maxMessage {
		e.Message = e.Message[:maxMessage]
	}
	i.out = wasmabi.AppendError(i.out[:0], &e)
	return status, i.out
}

// maxMessage leaves an error room in a small window.
const maxMessage = 512

func float(b []byte) float64 {
	var v uint64
	for n := 7; n >= 0; n-- {
		v = v<<8 | uint64(b[n])
	}
	return math.Float64frombits(v)
}
