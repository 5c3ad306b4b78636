package guest

import (
	"context"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// meter hands fuel to the guest a slice at a time and looks at the deadline in between.
type meter struct {
	fuel     api.MutableGlobal // what is left of the slices handed out; the guest counts it down
	stack    api.MutableGlobal // bytes of stack that are left; the guest counts it down and up
	caller   context.Context
	budget   int64
	slice    int64
	granted  int64 // sum of the slices handed out
	limit    int64 // wall time, nanoseconds
	deadline int64 // on the clock of now; 0 until somebody asks
}

// start begins a call's account.
func (m *meter) start(ctx context.Context, l *Limits) {
	m.caller = ctx
	m.budget, m.slice = int64(l.Fuel), int64(l.Slice)
	m.granted = min(m.budget, m.slice)
	m.limit, m.deadline = int64(l.Deadline), 0
	m.fuel.Set(uint64(m.granted))
}

// spent returns what the call has used so far.
func (m *meter) spent() int64 { return m.granted - int64(m.fuel.Get()) }

// charge takes fuel for work the host does on the guest's behalf; if that empties the slice the guest's next block yields.
func (m *meter) charge(units int64) { m.fuel.Set(m.fuel.Get() - uint64(units)) }

// yield is called by the guest when its slice or its stack is used up. It hands out another slice or ends the call.
func (m *meter) yield() {
	if int64(m.stack.Get()) < 0 {
		stop(KindStack, "its calls nest too deeply")
	}
	spent := m.spent()
	if spent > m.budget {
		stop(KindFuel, "it used up its %d units of fuel", m.budget)
	}
	m.checkDeadline()
	m.granted = min(m.budget, spent+m.slice)
	m.fuel.Set(uint64(m.granted - spent))
}

// left returns how much wall time is left, in nanoseconds. Time counts from the first question, which comes after one slice
// at the latest: a call that is shorter never needs the clock.
func (m *meter) left() int64 {
	t := now()
	if m.deadline == 0 {
		m.deadline = t + m.limit
	}
	return m.deadline - t
}

func (m *meter) checkDeadline() {
	if m.left() <= 0 {
		stop(KindDeadline, "its time was up")
	}
	if err := m.caller.Err(); err != nil {
		stop(KindDeadline, "the caller went away: %v", err)
	}
}

var started = time.Now()

// now reads the monotonic clock, in nanoseconds.
func now() int64 { return int64(time.Since(started)) }
