package runner

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// workload is one that was started. Its lock is held during calls of the guest.
type workload struct {
	life
	parameters []float64

	queueMu sync.Mutex
	queue   []item
	dropped uint64

	device   *device
	nextTick time.Time
	request  []byte
	emission wasmabi.Emission
}

// item is an input that waits.
type item struct {
	place uint32
	value Value
	hops  int
}

func newWorkload(r *Runner, id uint16, m *host.Module, parameters map[string]float64) *workload {
	return &workload{life: newLife(r, id, m), parameters: chosen(m.Manifest(), parameters), device: newDevice(r, m.Manifest())}
}

// accept puts an input into the queue. When it is full the oldest gives way: of measurements the newest counts.
func (w *workload) accept(input string, v Value, hops int) error {
	place := slices.IndexFunc(w.manifest.Workload.Inputs, func(p wasmabi.Port) bool { return p.Name == input })
	if place < 0 {
		return ErrUnknown
	}
	if isBytes := w.manifest.Workload.Inputs[place].Type == wasmabi.TypeBytes; isBytes != (v.Bytes != nil) || len(v.Bytes) > MaxValue {
		return ErrValue
	}
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	if len(w.queue) == MaxQueue {
		w.queue = slices.Delete(w.queue, 0, 1)
		w.dropped++
	}
	w.queue = append(w.queue, item{uint32(place), v, hops})
	return nil
}

func (w *workload) take() (item, bool) {
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	if len(w.queue) == 0 {
		return item{}, false
	}
	first := w.queue[0]
	w.queue = slices.Delete(w.queue, 0, 1)
	return first, true
}

func (w *workload) waiting() bool {
	w.queueMu.Lock()
	defer w.queueMu.Unlock()
	return len(w.queue) > 0
}

// due is the time until the workload wants to be called; not positive is now.
func (w *workload) due(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.module == nil:
		return idle
	case !w.running:
		return w.retryAt.Sub(now)
	case w.waiting():
		return 0
	case w.nextTick.IsZero():
		return idle
	}
	return w.nextTick.Sub(now)
}

// run makes one call of what is due: a new start, an input, or the tick.
func (w *workload) run(ctx context.Context) {
	w.device.look() // before the lock: who holds it must not wait for the device's objects
	w.mu.Lock()
	w.device.show()
	changed := w.step(ctx)
	if !w.running { // it begins anew
		w.device.giveBack()
	}
	w.mu.Unlock()
	if changed {
		w.runner.config.Changed(w.id)
	}
}

func (w *workload) step(ctx context.Context) (changed bool) {
	now := time.Now()
	if w.module == nil {
		return false
	}
	if !w.running {
		if now.Before(w.retryAt) {
			return false
		}
		w.meter.restarts++
		w.note("start it anew", w.start(ctx))
		return true
	}
	in, op, hops := wasmabi.Input{TimeNS: now.UnixNano()}, wasmabi.OpTick, 0
	if i, ok := w.take(); ok {
		op, hops = wasmabi.OpInput, i.hops+1
		if i.value.Bytes != nil {
			in.DataIDs, in.Data = []uint32{i.place}, [][]byte{i.value.Bytes}
		} else {
			in.IDs, in.Values = []uint32{i.place}, []float64{i.value.Number}
		}
	} else if w.nextTick.IsZero() || now.Before(w.nextTick) {
		return false
	}
	w.request = wasmabi.AppendInput(w.request[:0], &in)
	return w.note("call it", w.call(ctx, op, w.request, hops))
}

// begin is the first start, whose failure is the caller's to report.
func (w *workload) begin(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meter.begin(time.Now())
	return w.start(ctx)
}

func (w *workload) start(ctx context.Context) error {
	m := w.manifest
	s := wasmabi.Start{Name: m.Name, Device: w.runner.config.Device, TimeNS: time.Now().UnixNano(), Version: m.Version, Parameters: w.parameters}
	for _, p := range m.Workload.Inputs {
		s.Inputs = append(s.Inputs, p.Name)
	}
	for _, p := range m.Workload.Outputs {
		s.Outputs = append(s.Outputs, p.Name)
	}
	for _, p := range m.Workload.Properties {
		s.Properties = append(s.Properties, p.Name)
	}
	for _, k := range m.Workload.Knobs {
		s.Knobs = append(s.Knobs, k.Name)
	}
	for _, p := range m.Parameters {
		s.ParameterNames = append(s.ParameterNames, p.Name)
	}
	w.nextTick = time.Time{}
	w.scheduleTick(0)
	err := w.call(ctx, wasmabi.OpStart, wasmabi.AppendStart(nil, &s), 0)
	w.running = err == nil
	if err != nil {
		w.fresh(ctx)
		w.device.giveBack()
	}
	return err
}

// call runs one operation and hands on what it emits.
func (w *workload) call(ctx context.Context, op wasmabi.Op, request []byte, hops int) error {
	now := time.Now()
	s, err := w.module.Begin(ctx, host.SessionConfig{Time: now, Seed: uint64(now.UnixNano()), Handles: []host.Handle{w.device}, Warm: true})
	if err != nil {
		return err
	}
	defer s.Close()
	var response []byte
	w.meter.measure(func() { response, err = s.Call(ctx, op, request) })
	if op == wasmabi.OpTick || op == wasmabi.OpStart {
		w.scheduleTick(w.manifest.Workload.TickMS)
	}
	if err != nil {
		return err
	}
	if err := wasmabi.DecodeEmission(response, &w.emission); err != nil {
		return fmt.Errorf("read what %s emits: %w", w.manifest.Name, err)
	}
	if w.emission.NextMS != 0 {
		w.scheduleTick(w.emission.NextMS)
	}
	return w.emit(now, hops)
}

// leastTick keeps a workload from asking for all of the processor.
const leastTick = 10 * time.Millisecond

// scheduleTick sets the next tick; 0 leaves it as it is.
func (w *workload) scheduleTick(ms uint32) {
	if ms != 0 {
		w.nextTick = time.Now().Add(max(time.Duration(ms)*time.Millisecond, leastTick))
	}
}

func (w *workload) emit(now time.Time, hops int) error {
	for n, place := range w.emission.IDs {
		if err := w.give(now, hops, place, Value{Number: w.emission.Values[n]}); err != nil {
			return err
		}
	}
	for n, place := range w.emission.DataIDs {
		if len(w.emission.Data[n]) > MaxValue {
			return ErrValue
		}
		if err := w.give(now, hops, place, Value{Bytes: append([]byte{}, w.emission.Data[n]...)}); err != nil {
			return err
		}
	}
	return nil
}

func (w *workload) give(now time.Time, hops int, place uint32, v Value) error {
	outputs := w.manifest.Workload.Outputs
	if int(place) >= len(outputs) {
		return fmt.Errorf("%s emits output %d of %d", w.manifest.Name, place, len(outputs))
	}
	p := &outputs[place]
	if isBytes := p.Type == wasmabi.TypeBytes; isBytes != (v.Bytes != nil) {
		return fmt.Errorf("%s emits %s with another type than its manifest says", w.manifest.Name, p.Name)
	}
	w.runner.config.Emit(Output{Workload: w.id, Name: p.Name, Unit: p.Unit, Value: v, Time: now, Hops: hops})
	return nil
}

// end is the last call; what it emits is handed on, what fails is not reported any more.
func (w *workload) end(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running {
		if err := w.call(ctx, wasmabi.OpStop, nil, 0); err != nil {
			w.runner.config.Logger.Debug("a workload's last word", "workload", w.manifest.Name, "error", err)
		}
	}
	w.device.giveBack()
	w.module.Close()
	w.module, w.running = nil, false
}
