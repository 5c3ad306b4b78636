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
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/plugins"
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

// live has a module go through all turns in one instance.
func live(t *testing.T, module []byte) (all []answered) {
	t.Helper()
	m, err := interpreter(t).Prepare(t.Context(), pluginstest.Patient(t, module))
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

// interpreter is the host as a device has it.
func interpreter(t *testing.T) *host.Runtime {
	t.Helper()
	r, err := host.New(t.Context(), host.Config{Engine: host.Interpreter, InProcess: true, MaxInstances: 1, Limits: host.Limits{Deadline: time.Minute}})
	must(t, err)
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

// workloads are the folders of the same workload, TinyGo's first, with what bounds their modules in bytes.
var workloads = []struct {
	language toolchain.Language
	folder   string
	most     int
}{
	{toolchain.TinyGo, average, 32 << 10},
	{toolchain.Go, average, 2 << 20},
	{toolchain.Rust, average + "/rust", 10 << 10}, // 9 with wasm-opt
	{toolchain.C, average + "/c", 8 << 10},        // 6 with wasm-opt
}

// buildWorkload packs the manifest into the module. Go's asks for the memory that its runtime needs.
func buildWorkload(t *testing.T, l toolchain.Language, folder string, most int) []byte {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles modules")
	}
	module, err := pluginstest.Project(l, folder)
	pluginstest.Need(t, err)
	packed := pluginstest.Pack(t, average, module)
	if len(packed) > most {
		t.Errorf("the module has %d bytes, more than %d", len(packed), most)
	}
	if l == toolchain.Go {
		packed = withMemory(t, packed, 16<<20)
	}
	return packed
}

func withMemory(t *testing.T, module []byte, bytes uint64) []byte {
	t.Helper()
	manifest, err := wasmabi.ReadManifest(module)
	must(t, err)
	manifest.Limits.MemoryBytes = bytes
	packed, err := plugins.Pack(module, manifest)
	must(t, err)
	return packed
}

// A workload gives in all languages what it gives in TinyGo, byte for byte, and fails where that fails.
func TestWorkloadsAreTheSame(t *testing.T) {
	var want []answered
	for _, w := range workloads {
		t.Run(string(w.language), func(t *testing.T) {
			got := live(t, buildWorkload(t, w.language, w.folder, w.most))
			if want == nil {
				want = got
			}
			for i, turn := range turns() {
				if !bytes.Equal(got[i].response, want[i].response) || got[i].kind != want[i].kind || got[i].code != want[i].code {
					t.Errorf("%s: %x %v %s, the first gives %x %v %s", turn.name, got[i].response, got[i].kind, got[i].code, want[i].response, want[i].kind, want[i].code)
				}
			}
		})
	}
}

// sensor is what a device has to measure with.
type sensor struct{}

func (sensor) Property(p lwm2m.Path) (lwm2m.Value, bool) {
	return lwm2m.Float(20), p == lwm2m.MustParsePath("/3303/0/5700")
}

// onADevice has a device's own runner start a workload and hand it one value. Its outputs come until the test ends.
func onADevice(t *testing.T, module []byte, parameters map[string]float64, input string, value float64) <-chan runner.Output {
	t.Helper()
	outputs := make(chan runner.Output)
	ctx, cancel := context.WithCancel(t.Context())
	emit := func(o runner.Output) {
		select {
		case outputs <- o:
		case <-ctx.Done():
		}
	}
	r := runner.New(runner.Config{Host: interpreter(t), Device: "sensor-1", Properties: sensor{}, Emit: emit})
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	must(t, r.Start(t.Context(), 1, pluginstest.Patient(t, module), parameters))
	must(t, r.Deliver(1, input, runner.Value{Number: value}, 0))
	return outputs
}

// A device's own runner starts, feeds and ticks the workload in any of the languages.
func TestWorkloadsRunOnADevice(t *testing.T) {
	for _, w := range workloads {
		t.Run(string(w.language), func(t *testing.T) {
			outputs := onADevice(t, buildWorkload(t, w.language, w.folder, w.most), map[string]float64{"window": 1}, "temp", 17.5)
			for missing := map[float64]bool{17.5: true, 20: true}; len(missing) > 0; { // what came in, and what is measured at a tick
				o := <-outputs
				if o.Name != "temp_avg" || o.Unit != "Cel" || o.Value.Number != 17.5 && o.Value.Number != 20 {
					t.Fatalf("got %+v", o)
				}
				delete(missing, o.Value.Number)
			}
		})
	}
}
