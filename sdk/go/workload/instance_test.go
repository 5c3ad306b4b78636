package workload

import (
	"strings"
	"testing"

	"github.com/edgehold/edgehold/wasmabi"
)

// echo gives back what comes in, and does what its flags say.
type echo struct {
	out, data Output
	knob      Knob
	property  Property
	many      bool
	missing   bool
}

func (e *echo) Start(s *Setup) error {
	e.out, e.data, e.knob, e.property = s.Output("out"), s.Output("data"), s.Knob("TX_PWR"), s.Property("temperature")
	if e.missing {
		s.Input("nowhere")
	}
	return nil
}

func (e *echo) Input(t *Turn, v Value) error {
	if v.Bytes != nil {
		t.EmitBytes(e.data, v.Bytes)
		return e.knob.Set(string(v.Bytes))
	}
	for range 100 {
		t.Emit(e.out, v.Number)
		if !e.many {
			break
		}
	}
	t.Next(250)
	return nil
}

// panel is a device with one knob and one property.
type panel struct{ value string }

func (p *panel) Call(op uint32, in []byte) (wasmabi.Status, []byte) {
	switch {
	case op == wasmabi.HandleKnobSet && string(in[4:]) != "":
		p.value = string(in[4:])
		return wasmabi.StatusOK, nil
	case op == wasmabi.HandleKnobGet:
		return wasmabi.StatusOK, []byte(p.value)
	case op == wasmabi.HandleDeviceRead:
		return wasmabi.StatusOK, []byte("short")
	}
	return wasmabi.StatusDenied, nil
}

func started(t *testing.T, e *echo, h Host) *Instance {
	t.Helper()
	i := NewInstance(e).On(h)
	if status, response := i.Call(wasmabi.OpStart, start()); status != wasmabi.StatusOK {
		t.Fatalf("start: %s, %s", status, problem(t, response).Message)
	}
	return i
}

func start() []byte {
	return wasmabi.AppendStart(nil, &wasmabi.Start{Inputs: []string{"in"}, Outputs: []string{"out", "data"}, Knobs: []string{"TX_PWR"}, Properties: []string{"temperature"}})
}

func problem(t *testing.T, response []byte) (e wasmabi.Error) {
	t.Helper()
	if err := wasmabi.DecodeError(response, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func numbers(v ...float64) []byte {
	return wasmabi.AppendInput(nil, &wasmabi.Input{IDs: make([]uint32, len(v)), Values: v})
}

func TestEmissions(t *testing.T) {
	p := &panel{}
	i := started(t, &echo{}, p)
	status, response := i.Call(wasmabi.OpInput, wasmabi.AppendInput(nil, &wasmabi.Input{IDs: []uint32{0}, Values: []float64{2.5}, DataIDs: []uint32{0}, Data: [][]byte{[]byte("LOW")}}))
	var m wasmabi.Emission
	if err := wasmabi.DecodeEmission(response, &m); status != wasmabi.StatusOK || err != nil {
		t.Fatal(status, err)
	}
	if m.NextMS != 250 || len(m.Values) != 1 || m.Values[0] != 2.5 || m.DataIDs[0] != 1 || string(m.Data[0]) != "LOW" || p.value != "LOW" {
		t.Errorf("got %+v, the knob is at %q", m, p.value)
	}
	if v, err := i.workload.(*echo).knob.Get(); v != "LOW" || err != nil {
		t.Errorf("got %q, %v", v, err)
	}
	if _, err := i.workload.(*echo).property.Number(); err == nil {
		t.Error("5 bytes are read as a number")
	}
}

func TestFailures(t *testing.T) {
	for name, test := range map[string]struct {
		instance *Instance
		op       wasmabi.Op
		request  []byte
		status   wasmabi.Status
		code     string
	}{
		"nothing registered": {NewInstance(nil), wasmabi.OpStart, start(), wasmabi.StatusGuest, "workload.not-registered"},
		"not started":        {NewInstance(&echo{}), wasmabi.OpInput, numbers(1), wasmabi.StatusGuest, "workload.not-started"},
		"a name too many":    {NewInstance(&echo{missing: true}), wasmabi.OpStart, start(), wasmabi.StatusGuest, "workload.not-found"},
		"bad start":          {NewInstance(&echo{}), wasmabi.OpStart, []byte{0xff}, wasmabi.StatusInvalid, ""},
		"bad input":          {started(t, &echo{}, nil), wasmabi.OpInput, []byte{1}, wasmabi.StatusInvalid, ""},
		"too much":           {started(t, &echo{many: true}, nil), wasmabi.OpInput, numbers(1), wasmabi.StatusGuest, "workload.too-many"},
		"denied":             {started(t, &echo{}, &panel{}), wasmabi.OpInput, wasmabi.AppendInput(nil, &wasmabi.Input{DataIDs: []uint32{0}, Data: [][]byte{{}}}), wasmabi.StatusOK, ""},
		"no tick":            {started(t, &echo{}, nil), wasmabi.OpTick, numbers(), wasmabi.StatusUnsupported, ""},
		"an adapter's":       {started(t, &echo{}, nil), wasmabi.OpApply, nil, wasmabi.StatusUnsupported, ""},
		"stop without one":   {started(t, &echo{}, nil), wasmabi.OpStop, nil, wasmabi.StatusOK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, response := test.instance.Call(test.op, test.request)
			if status != test.status {
				t.Fatalf("got %s, want %s", status, test.status)
			}
			if test.code != "" {
				if e := problem(t, response); e.Code != test.code || strings.TrimSpace(e.Message) == "" {
					t.Errorf("got %+v", e)
				}
			}
		})
	}
}
