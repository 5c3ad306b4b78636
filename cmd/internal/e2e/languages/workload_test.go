package languages

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

const average = "../../../../examples/07-temp-average"

// thermometer is a device with a sensor, or none.
type thermometer struct{ celsius float64 }

func (d *thermometer) Call(_ context.Context, op uint32, in, dst []byte) ([]byte, error) {
	if op != wasmabi.HandleDeviceRead || len(in) != 4 || binary.LittleEndian.Uint32(in) != 0 {
		return dst, host.ErrInvalid
	}
	if math.IsNaN(d.celsius) {
		return dst, errors.New("there is no sensor")
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(d.celsius)), nil
}

// turn is one call of a workload.
type turn struct {
	name    string
	op      wasmabi.Op
	request []byte
	celsius float64
}

func turns() []turn {
	nan := math.NaN()
	start := func(s wasmabi.Start) []byte {
		s.Name, s.Device, s.Inputs = "temp-average", "sensor-1", []string{"temp"}
		return wasmabi.AppendStart(nil, &s)
	}
	whole := wasmabi.Start{Outputs: []string{"temp_avg"}, Properties: []string{"temperature"}, Parameters: []float64{3}, ParameterNames: []string{"window"}, TimeNS: 1e18}
	numbers := func(values ...float64) []byte {
		return wasmabi.AppendInput(nil, &wasmabi.Input{TimeNS: 1e18, IDs: make([]uint32, len(values)), Values: values})
	}
	all := []turn{
		{"before the start", wasmabi.OpInput, numbers(1), nan},
		{"a start without its output", wasmabi.OpStart, start(wasmabi.Start{Properties: whole.Properties, Parameters: whole.Parameters, ParameterNames: whole.ParameterNames}), nan},
		{"after a start that failed", wasmabi.OpTick, numbers(), nan},
		{"start", wasmabi.OpStart, start(whole), nan},
		{"a start that is cut off", wasmabi.OpStart, start(whole)[:20], nan},
		{"start again", wasmabi.OpStart, start(whole), nan},
		{"health", wasmabi.OpHealth, nil, nan},
		{"a tick without a sensor", wasmabi.OpTick, numbers(), nan},
		{"a tick", wasmabi.OpTick, numbers(), 20.5},
		{"a batch", wasmabi.OpInput, numbers(21, 22.25, -3, 1e300), nan},
		{"bytes where numbers go", wasmabi.OpInput, wasmabi.AppendInput(nil, &wasmabi.Input{DataIDs: []uint32{0}, Data: [][]byte{[]byte("warm")}}), nan},
		{"no number", wasmabi.OpInput, numbers(nan), nan},
		{"a full batch", wasmabi.OpInput, numbers(make([]float64, wasmabi.MaxBatch)...), nan},
		{"no CBOR", wasmabi.OpInput, []byte{0xff}, nan},
		{"cut off", wasmabi.OpInput, numbers(1, 2)[:12], nan},
		{"too much", wasmabi.OpInput, append(numbers(1), 0), nan},
		{"a policy's operation", wasmabi.OpAnalyze, nil, nan},
	}
	for _, v := range []float64{19, 18, 17.75, math.Pi} {
		all = append(all, turn{"another tick", wasmabi.OpTick, numbers(), v})
	}
	return append(all, turn{"stop", wasmabi.OpStop, nil, nan}, turn{"after the stop", wasmabi.OpTick, numbers(), nan})
}

// answered is what one turn came to.
type answered struct {
	response []byte
	kind     host.Kind
	code     string
}

// live has a module go through all turns in one instance, as a device does.
func live(t *testing.T, module []byte) (all []answered) {
	t.Helper()
	r, err := host.New(t.Context(), host.Config{Engine: host.Interpreter, InProcess: true, MaxInstances: 1, Limits: host.Limits{Deadline: time.Minute}})
	must(t, err)
	defer r.Close(context.Background())
	m, err := r.Prepare(t.Context(), pluginstest.Pack(t, average, module))
	must(t, err)
	defer m.Close()
	d := &thermometer{}
	for _, turn := range turns() {
		d.celsius = turn.celsius
		s, err := m.Begin(t.Context(), host.SessionConfig{Time: time.Unix(1e9, 0), Handles: []host.Handle{d}, Warm: true})
		must(t, err)
		response, err := s.Call(t.Context(), turn.op, turn.request)
		a := answered{response: bytes.Clone(response)}
		if failure := (*host.CallError)(nil); errors.As(err, &failure) {
			a.kind, a.code = failure.Kind, failure.Code
		} else {
			must(t, err)
		}
		all = append(all, a)
		s.Close()
	}
	t.Logf("%d bytes, %d of memory", len(module), m.Stats().MemoryBytes)
	return all
}

// A workload in C gives what the same workload in TinyGo gives, byte for byte, and fails where it fails.
func TestWorkloadsAreTheSame(t *testing.T) {
	reference, err := pluginstest.TinyGo(average)
	pluginstest.Need(t, err)
	inC, err := pluginstest.Project(toolchain.C, average+"/c")
	pluginstest.Need(t, err)
	if len(inC) > 8<<10 {
		t.Errorf("the module in C has %d bytes", len(inC))
	}
	want, got := live(t, reference), live(t, inC)
	for i, turn := range turns() {
		if !bytes.Equal(got[i].response, want[i].response) || got[i].kind != want[i].kind || got[i].code != want[i].code {
			t.Errorf("%s: in C %x %v %s, in TinyGo %x %v %s", turn.name, got[i].response, got[i].kind, got[i].code, want[i].response, want[i].kind, want[i].code)
		}
	}
}
