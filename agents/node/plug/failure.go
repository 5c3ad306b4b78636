package plug

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

// KeepFailures returns what records the operations of an adapter, whose version that serves is the one that serving returns.
func (b *Board) KeepFailures(name string, serving func() Prepared) func(*record.Episode, error) {
	var mu sync.Mutex
	var again time.Time
	return func(e *record.Episode, failure error) {
		if !ownFault(failure) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if b.Now().Before(again) {
			return
		}
		again = b.Now().Add(failureEvery)
		if onFallback(serving()) { // nothing was recorded
			b.Logger.Warn("adapter fails", "adapter", name, "error", failure)
			return
		}
		text, err := e.Encode()
		if err == nil {
			err = store.ReplaceFile(b.path(name, failureEnding), text, 0o600)
		}
		b.Logger.Warn("adapter fails", "adapter", name, "error", failure, "kept", err == nil)
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
