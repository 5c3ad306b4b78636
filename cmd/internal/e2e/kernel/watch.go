//go:build linux

package kernel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/kernel/control"
)

// errSilent is the cause of giving up on a machine.
var errSilent = errors.New("the machine does not answer")

// Frozen is the error of a machine that runs and does not answer.
type Frozen struct {
	For       time.Duration // without an answer
	Booting   bool          // the guest program has not begun: nothing but qemu and the kernel has run
	Diagnosis string        // what was to be seen from outside
}

func (f *Frozen) Error() string {
	when := "after it had booted"
	if f.Booting {
		when = "before it had booted"
	}
	return fmt.Sprintf("the machine froze %s, no answer for %v; %s", when, f.For, f.Diagnosis)
}

// frozen looks at the machine while it is there.
func (m *Machine) frozen(silent time.Duration) *Frozen {
	return &Frozen{For: silent, Booting: !strings.Contains(m.Console(), control.Ready), Diagnosis: m.diagnosis()}
}

// watch looks for a sign of life every second, and ends a machine that gives none for too long; calls under way then fail.
func (m *Machine) watch() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-m.life.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeoutCause(m.life, m.limits.Answer, errSilent)
		err := m.Greet(ctx)
		silent := context.Cause(ctx) == errSilent
		cancel()
		switch {
		case silent:
			m.end(m.frozen(m.limits.Answer))
			return
		case err != nil: // the pipe has gone, and the machine goes with it
			return
		}
	}
}
