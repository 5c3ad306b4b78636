package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// life is what workloads and policies have in common: from a start to the last stop, failures and pauses included. Its lock is held
// during calls of the guest.
type life struct {
	runner   *Runner
	id       uint16
	manifest *wasmabi.Manifest

	mu      sync.Mutex
	module  *host.Module // nil when it was given up
	running bool         // started and not failed since
	retryAt time.Time
	delay   time.Duration
	meter   meter
}

func newLife(r *Runner, id uint16, m *host.Module) life {
	return life{runner: r, id: id, module: m, manifest: m.Manifest(), delay: MinDelay}
}

// chosen are the values of a manifest's parameters: the operator's where they are given and allowed, else the defaults.
func chosen(m *wasmabi.Manifest, given map[string]float64) (values []float64) {
	for _, p := range m.Parameters {
		v, ok := given[p.Name]
		if !ok || !p.Allows(v) {
			v = p.Default
		}
		values = append(values, v)
	}
	return values
}

// fresh throws away what the guest's memory holds.
func (l *life) fresh(ctx context.Context) {
	if s, err := l.module.Begin(ctx, host.SessionConfig{}); err == nil {
		s.Close()
	}
}

// note keeps what a call came to, and puts a guest that can't go on aside for a while.
func (l *life) note(attempt string, err error) (changed bool) {
	if err == nil {
		changed = l.meter.recovered()
		if time.Since(l.meter.failedAt) > MaxDelay {
			l.delay = MinDelay
		}
		return changed
	}
	l.meter.failed(err, time.Now())
	l.runner.config.Logger.Warn("a workload failed", "workload", l.manifest.Name, "attempt", attempt, "error", err)
	if e, ok := errors.AsType[*host.CallError](err); ok && l.running && goesOn(e.Kind) {
		return true
	}
	l.running = false
	l.fresh(context.Background())
	l.retryAt = time.Now().Add(l.delay)
	l.delay = min(2*l.delay, MaxDelay)
	return true
}

// goesOn reports whether the guest's memory is sound after an error of the kind.
func goesOn(k host.Kind) bool { return k == host.Guest || k == host.Unsupported || k == host.Request }
