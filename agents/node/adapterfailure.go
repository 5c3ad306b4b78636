package node

import (
	"errors"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins/store"
)

// failureEnding is of the file with the last operation of an adapter that failed by its own fault: a record.Episode, which
// replays without the device.
const failureEnding = ".failure"

// failureEvery bounds how often it is written.
const failureEvery = time.Minute

// keepFailures returns what records an adapter's operations.
func (p *policies) keepFailures(name string) func(*record.Episode, error) {
	var mu sync.Mutex
	var again time.Time
	return func(e *record.Episode, failure error) {
		if !ownFault(failure) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if p.now().Before(again) {
			return
		}
		again = p.now().Add(failureEvery)
		if r := p.find(name); r != nil && onFallback(r.module) { // nothing was recorded
			p.log.Warn("adapter fails", "adapter", name, "error", failure)
			return
		}
		b, err := e.Encode()
		if err == nil {
			err = store.ReplaceFile(p.adapters.path(name, failureEnding), b, 0o600)
		}
		p.log.Warn("adapter fails", "adapter", name, "error", failure, "kept", err == nil)
	}
}

// ownFault reports whether an operation failed for another reason than that the device is away, or the operation optional.
func ownFault(failure error) bool {
	if failure == nil || errors.Is(failure, mechanisms.ErrUnavailable) {
		return false
	}
	e, ok := errors.AsType[*host.CallError](failure)
	return !ok || e.Kind != host.Unsupported
}
