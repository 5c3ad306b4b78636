package host

import (
	"context"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// SessionConfig says what a session sees.
type SessionConfig struct {
	Time    time.Time // the guest's clock starts here
	Seed    uint64    // of the guest's randomness
	Handles []Handle  // granted capabilities; policies have none
	// Warm keeps the instance's state from the session before and for the one after, if both are warm and nothing
	// failed. Adapters use it; episodes of policies never do.
	Warm     bool
	Recorder Recorder
	// Metric receives what the guest reports about itself.
	Metric func(id uint32, value float64)
}

// Which calls of a session have their latency measured: all of an episode, and a sample of those that a program makes in a
// loop.
const (
	alwaysTimed = 16
	timedEvery  = 16
)

// Session is one use of an instance. It is used by one goroutine at a time.
type Session struct {
	module   *Module
	instance *guest.Instance
	config   SessionConfig
	response []byte
	fuel     uint64
	failed   bool
	calls    uint64
	tally    tally
	plugin   plugin // nil for a guest of the ABI
}

func newSession(m *Module, i *guest.Instance, c SessionConfig) *Session {
	s := &Session{module: m, instance: i, config: c, plugin: newPlugin(m, i)}
	w := guest.World{Time: c.Time, Seed: c.Seed, Handles: c.Handles}
	if c.Recorder != nil || c.Metric != nil {
		w.Observer = s
	}
	i.Enter(w)
	m.counters.sessions.Add(1)
	if c.Recorder != nil {
		c.Recorder.Begin(Origin{Module: m.digest, Image: m.image, Time: c.Time, Seed: c.Seed, Handles: len(c.Handles)})
	}
	return s
}

// RequestWindow is the size of the largest request that the guest can take.
func (s *Session) RequestWindow() int {
	if s.plugin != nil {
		return int(s.module.limits.KernelBytes)
	}
	return int(s.module.program.Window.RequestCap)
}

// Call runs op and returns the guest's response, which is valid until the next Call or Close. An error is a *CallError
// or ErrSessionOver.
func (s *Session) Call(ctx context.Context, op wasmabi.Op, request []byte) ([]byte, error) {
	if s.failed || s.instance == nil {
		return nil, ErrSessionOver
	}
	timed := s.calls < alwaysTimed || s.calls%timedEvery == 0
	s.calls++
	s.instance.Time(timed)
	status, response, fault := s.perform(ctx, op, request)
	s.fuel = s.instance.Fuel()
	s.response = append(s.response[:0], response...)
	s.tally.add(len(request), len(s.response), s.fuel, s.instance.HostCalls())
	if timed {
		s.tally.latency.add(uint64(s.instance.Took()))
	}
	if s.tally.calls == tallyCalls {
		s.module.counters.merge(&s.tally)
	}
	var failure *CallError
	if fault != nil || status != wasmabi.StatusOK {
		failure = s.fail(op, status, fault)
	}
	s.logLines(ctx, failure)
	if s.config.Recorder != nil {
		s.config.Recorder.Call(Call{op, request, s.response, status, s.fuel, failure})
	}
	if failure != nil {
		return nil, failure
	}
	return s.response, nil
}

// perform runs op on the instance, through the door that its module came in by.
func (s *Session) perform(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *guest.Fault) {
	if s.plugin == nil {
		return s.instance.Call(ctx, op, request)
	}
	status, response, fault := s.plugin.call(ctx, op, request)
	if _, exited := s.instance.Returned(); exited {
		s.failed = true
	}
	return status, response, fault
}

// Fuel returns what the last call spent.
func (s *Session) Fuel() uint64 { return s.fuel }

// Close ends the session. It may be called twice.
func (s *Session) Close() {
	if s.instance == nil {
		return
	}
	s.module.counters.merge(&s.tally)
	s.module.giveBack(s.instance, s.config.Warm && !s.failed)
	s.instance = nil
}

func (s *Session) fail(op wasmabi.Op, status wasmabi.Status, fault *guest.Fault) *CallError {
	var e *CallError
	if fault != nil {
		e = newCallError(s.module, op, fault)
	} else {
		e = answered(s.module.manifest.Name, op, status, s.response)
	}
	e.Fuel, e.Export = s.fuel, s.module.exportName(op)
	s.failed = !healthy(e.Kind)
	s.module.counters.errors[e.Kind].Add(1)
	return e
}

// logLines hands on what the guest logged in the last call.
func (s *Session) logLines(ctx context.Context, failure *CallError) {
	lines, dropped := s.instance.Log()
	if dropped > 0 {
		s.module.counters.logDropped.Add(dropped)
	}
	for _, line := range lines {
		s.module.runtime.config.Logger.LogAttrs(ctx, levels[line.Level], "guest", slog.String("policy", s.module.manifest.Name),
			slog.String("text", line.Text))
		if failure != nil {
			failure.Log = append(failure.Log, line.Text)
		}
	}
}

var levels = [...]slog.Level{
	wasmabi.LevelDebug: slog.LevelDebug,
	wasmabi.LevelInfo:  slog.LevelInfo,
	wasmabi.LevelWarn:  slog.LevelWarn,
	wasmabi.LevelError: slog.LevelError,
}

// HostCall passes what the guest did through a handle to the recorder.
func (s *Session) HostCall(handle, op uint32, in, out []byte, status wasmabi.Status) {
	if s.config.Recorder != nil {
		s.config.Recorder.HostCall(HostCall{handle, op, in, out, status})
	}
}

// Metric passes what the guest reports about itself on.
func (s *Session) Metric(id uint32, value float64) {
	if s.config.Metric != nil {
		s.config.Metric(id, value)
	}
}
