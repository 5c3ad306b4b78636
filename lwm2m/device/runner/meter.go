package runner

import (
	"errors"
	"strings"
	"time"

	"github.com/edgehold/edgehold/host"
)

// Status is what is measured of one workload or policy.
type Status struct {
	Name, Version string
	CPUPercent    float64 // of one processor, over the last half to whole minute
	MemoryBytes   uint64  // its linear memory
	Uptime        time.Duration
	Calls         uint64
	Errors        uint64 // calls that failed, since it was started
	Restarts      uint64
	Dropped       uint64 // inputs that gave way to newer ones
	Error         string // the last failure, until a call goes well again
	Decision      string // of a policy: the last one, and why
	Running       bool   // false while it waits to be started anew
}

// window is what the processor time is averaged over: at least one of them, at most two.
const window = 30 * time.Second

// meter measures one workload.
type meter struct {
	started  time.Time
	failedAt time.Time
	busy     time.Duration // processor time of the guest, since it was started
	mark     [2]point      // beginnings of the window before and of this one
	calls    uint64
	errors   uint64
	restarts uint64
	error    string
}

// point is how much time was used at a time.
type point struct {
	at   time.Time
	busy time.Duration
}

func (m *meter) begin(now time.Time) {
	m.started = now
	m.mark = [2]point{{now, 0}, {now, 0}}
}

// measure adds what f uses of the processor.
func (m *meter) measure(f func()) {
	used := processorTime(f)
	m.busy += used
	m.calls++
	if now := time.Now(); now.Sub(m.mark[1].at) >= window {
		m.mark = [2]point{m.mark[1], {now, m.busy}}
	}
}

func (m *meter) percent(now time.Time) float64 {
	from := m.mark[0]
	passed := now.Sub(from.at)
	if passed <= 0 {
		return 0
	}
	return 100 * float64(m.busy-from.busy) / float64(passed)
}

// maxError bounds what an error says to servers.
const maxError = 200

func (m *meter) failed(err error, now time.Time) {
	m.errors++
	m.failedAt = now
	m.error = err.Error()
	if e, ok := errors.AsType[*host.CallError](err); ok {
		m.error = e.Code + ": " + e.Message
	}
	m.error = strings.ToValidUTF8(m.error[:min(len(m.error), maxError)], "")
}

// recovered forgets the last error after a call that went well.
func (m *meter) recovered() (changed bool) {
	changed = m.error != ""
	m.error = ""
	return changed
}

// measured is what workloads and policies have in common. The lock is held.
func (l *life) measured(now time.Time) Status {
	s := Status{
		Name: l.manifest.Name, Version: l.manifest.Version, CPUPercent: l.meter.percent(now), Uptime: now.Sub(l.meter.started),
		Calls: l.meter.calls, Errors: l.meter.errors, Restarts: l.meter.restarts, Error: l.meter.error, Running: l.running,
	}
	if l.module != nil {
		s.MemoryBytes = l.module.Stats().MemoryBytes
	}
	return s
}

func (w *workload) status(now time.Time) Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.measured(now)
	w.queueMu.Lock()
	s.Dropped = w.dropped
	w.queueMu.Unlock()
	return s
}
