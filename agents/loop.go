package agents

import (
	"context"
	"errors"
	"sync"
	"time"
)

// loop runs the episodes of one binding, one at a time. All fields but the
// first group belong to its goroutine (before that runs, to whoever holds the
// engine's lock). It never sleeps a fixed time: it waits for what is due next.
type loop struct {
	e       *Engine
	key     Key
	cancel  context.CancelCauseFunc
	started bool
	inbox   chan func(context.Context) // unbuffered: taken between episodes
	woken   chan struct{}              // holds one: that something was crossed
	done    chan struct{}              // closed when the loop has ended

	mu        sync.Mutex // guards the rest of this group
	rival     *rival     // another version beside it, nil as a rule; only the loop changes it
	crossing  *Crossing
	crossedAt time.Time
	status    Status

	*seat     // of the version in charge
	mode      Mode
	unwatch   func()
	unwatched string // why the bounds are not watched, if so
	seq       uint64
	held      holdings
	acting    bool // a plan of it is on its way through the scheduler

	timer      *time.Timer
	periodicAt time.Time // zero: never
	wakeAt     time.Time // zero: not woken
	lastWake   time.Time
	deafUntil  time.Time // backing off

	failures int // consecutive, of whatever kind
	faults   int // consecutive, of the policy itself
}

func newLoop(e *Engine, b Binding, state []byte, m Mode) *loop {
	l := &loop{
		e: e, key: b.Key, seat: e.newSeat(b, state), mode: m,
		inbox: make(chan func(context.Context)), woken: make(chan struct{}, 1), done: make(chan struct{}),
		held: make(holdings),
	}
	l.publish(nil)
	return l
}

// interval is what the engine makes of an interval that a policy asks for.
func (e *Engine) interval(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return max(d, e.c.MinInterval)
}

func (l *loop) off() bool { return l.b.UsesML && l.mode == Heuristic }

func (l *loop) run(ctx context.Context) {
	l.timer = time.NewTimer(0)
	defer l.timer.Stop()
	defer l.leave(ctx)
	l.rival.launch(ctx)
	l.resume()
	for {
		l.arm()
		select {
		case <-ctx.Done():
			return
		case <-l.woken:
			l.wake(ctx)
		case <-l.timer.C:
			l.tick(ctx)
		case f := <-l.inbox:
			f(ctx)
		}
		l.publish(nil)
	}
}

// discard forgets a loop that was never started, and reports whether it was so.
func (l *loop) discard() bool {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	if !l.started {
		delete(l.e.loops, l.b.Key)
	}
	return !l.started
}

// leave gives back what the loop holds if its binding ended, not if the agent is
// going.
func (l *loop) leave(ctx context.Context) {
	l.stopWatching()
	l.rival.stop()
	if errors.Is(context.Cause(ctx), errUnbound) {
		l.release(ctx, "the policy was unbound or disabled")
	}
}

// resume starts observing and makes the first episode due.
func (l *loop) resume() {
	if l.off() {
		return
	}
	l.periodicAt = time.Now()
	l.watch()
}

// arm sets the timer to whatever is due first.
func (l *loop) arm() {
	next := earliest(l.periodicAt, l.wakeAt, l.held.renewAt())
	if next.IsZero() {
		l.timer.Stop()
		return
	}
	l.timer.Reset(time.Until(next))
}

func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

func (l *loop) tick(ctx context.Context) {
	now := time.Now()
	l.renew(ctx, now)
	switch {
	case due(l.wakeAt, now):
		l.runWoken(ctx, now)
	case due(l.periodicAt, now):
		l.pass(ctx, Trigger{Kind: Periodic}, l.periodicAt)
	}
}

// wake runs an episode because of a crossing: at once, unless one was woken
// just before or the policy is backing off.
func (l *loop) wake(ctx context.Context) {
	if l.off() {
		return
	}
	now, at := time.Now(), l.deafUntil
	if !l.lastWake.IsZero() {
		at = latest(at, l.lastWake.Add(l.e.c.WakeSpacing))
	}
	if at.After(now) {
		l.wakeAt = at
		return
	}
	l.runWoken(ctx, now)
}

func (l *loop) runWoken(ctx context.Context, now time.Time) {
	l.mu.Lock()
	crossing, since := l.crossing, l.crossedAt
	l.crossing = nil
	l.mu.Unlock()
	l.wakeAt = time.Time{}
	if crossing == nil { // an episode for it ran meanwhile
		return
	}
	l.lastWake = now
	l.pass(ctx, Trigger{Kind: Wake, Crossing: crossing}, since)
}

// crossed is what the sensor calls. It never blocks; of several crossings before
// the next episode the newest is named, and the episode sees them all.
func (l *loop) crossed(c Crossing) {
	l.mu.Lock()
	if l.crossing == nil {
		l.crossedAt = time.Now()
	}
	l.crossing = &c
	l.mu.Unlock()
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

func (l *loop) watch() {
	l.stopWatching()
	l.unwatch, l.unwatched = l.watchFor(l.bounds)
}

// watchFor watches bounds, or says why they are not watched.
func (l *loop) watchFor(bounds []Bound) (stop func(), unwatched string) {
	if len(bounds) == 0 {
		return nil, ""
	}
	stop, err := l.e.c.Sensor.Watch(l.key, bounds, l.crossed)
	if err != nil {
		l.e.c.Logger.Warn("bounds are not watched", "loop", l.key.String(), "error", err)
		return nil, err.Error()
	}
	return stop, ""
}

func (l *loop) stopWatching() {
	if l.unwatch != nil {
		l.unwatch()
		l.unwatch = nil
	}
}

// do has the loop's goroutine run f between two episodes and waits for it.
func (l *loop) do(ctx context.Context, f func(context.Context)) error {
	l.e.mu.Lock()
	if !l.started {
		defer l.e.mu.Unlock()
		f(ctx)
		return nil
	}
	l.e.mu.Unlock()
	ran := make(chan struct{})
	select {
	case l.inbox <- func(ctx context.Context) { defer close(ran); f(ctx) }:
		<-ran
		return nil
	case <-l.done:
		return errUnbound
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *loop) trigger(ctx context.Context, by string) (Decision, error) {
	what := "trigger " + l.b.Key.String()
	if !l.started {
		return Decision{}, &Error{Code: "policy.not-running", What: what, Why: "the engine does not run yet"}
	}
	if l.off() {
		return Decision{}, &Error{Code: "policy.off-by-mode", What: what,
			Why:  "it uses a machine-learning model and the mode is heuristic",
			Hint: "set the mode to ml"}
	}
	return l.pass(ctx, Trigger{Kind: Manual, By: by}, time.Now()), nil
}

func (l *loop) setMode(ctx context.Context, m Mode) {
	was := l.off()
	l.mode = m
	switch is := l.off(); {
	case is && !was:
		l.stopWatching()
		l.periodicAt, l.wakeAt = time.Time{}, time.Time{}
		l.release(ctx, "the mode is heuristic and the policy uses a machine-learning model")
	case was && !is && l.started:
		l.resume()
	}
	l.publish(nil)
}
