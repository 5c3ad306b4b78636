package workload

import "github.com/edgehold/edgehold/wasmabi"

// Turn is one call of the workload. It must not be kept.
type Turn struct {
	timeNS   int64
	emission *wasmabi.Emission
	full     bool
}

// TimeNS is the device's time, nanoseconds since the Unix epoch. It stands still during the turn.
func (t *Turn) TimeNS() int64 { return t.timeNS }

// Emit gives an output of type number a value. One turn has room for 64 of them.
func (t *Turn) Emit(o Output, v float64) {
	if t.full = t.full || len(t.emission.IDs) == wasmabi.MaxBatch; !t.full {
		t.emission.IDs = append(t.emission.IDs, o.place)
		t.emission.Values = append(t.emission.Values, v)
	}
}

// EmitBytes gives an output of type bytes a value, which must stay as it is until the turn is over.
func (t *Turn) EmitBytes(o Output, v []byte) {
	if t.full = t.full || len(t.emission.DataIDs) == wasmabi.MaxBatch; !t.full {
		t.emission.DataIDs = append(t.emission.DataIDs, o.place)
		t.emission.Data = append(t.emission.Data, v)
	}
}

// Next asks for the next tick in so many milliseconds, instead of the manifest's.
func (t *Turn) Next(milliseconds uint32) { t.emission.NextMS = milliseconds }

// Host carries out what a workload asks of its device, with the results of wasmabi.ImportCall.
type Host interface {
	Call(op uint32, in []byte) (wasmabi.Status, []byte)
}

// Number reads a property of type number.
func (p Property) Number() (float64, error) {
	b, err := call(p.host, wasmabi.HandleDeviceRead, p.place, "")
	if err == nil && len(b) != 8 {
		err = Error("the property is no number")
	}
	if err != nil {
		return 0, err
	}
	return float(b), nil
}

// Bytes reads a property of type bytes.
func (p Property) Bytes() ([]byte, error) { return call(p.host, wasmabi.HandleDeviceRead, p.place, "") }

// Get reads the knob's value: a choice's name, or a number as text.
func (k Knob) Get() (string, error) {
	b, err := call(k.host, wasmabi.HandleKnobGet, k.place, "")
	return string(b), err
}

// Set turns the knob.
func (k Knob) Set(value string) error {
	_, err := call(k.host, wasmabi.HandleKnobSet, k.place, value)
	return err
}

func call(h Host, op, place uint32, value string) ([]byte, error) {
	if h == nil {
		return nil, Error("used before it was found at the start")
	}
	in := append([]byte{byte(place), byte(place >> 8), byte(place >> 16), byte(place >> 24)}, value...)
	status, out := h.Call(op, in)
	if status == wasmabi.StatusOK {
		return out, nil
	}
	e := new(wasmabi.Error)
	if wasmabi.DecodeError(out, e) != nil || e.Message == "" {
		e = &wasmabi.Error{Code: wasmabi.CodeFailed, Message: "the device says " + status.String()}
	}
	return nil, e
}
