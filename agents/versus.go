package agents

import (
	"context"
	"fmt"
	"time"
)

// turn is a pass as every version that runs on it gets it.
type turn struct {
	in     Input
	seen   bool      // there was an observation
	busy   bool      // the contender was to decide and was not at hand
	failed *Decision // what it came to, if it was to decide and failed
}

// canary has the contender decide, if the pass is one of its own. If it fails, the version in charge decides as ever.
func (l *loop) canary(ctx context.Context, t *turn, d *Decision) bool {
	r := l.rival
	if r == nil {
		return false
	}
	c := r.settings()
	if c.Decides == nil || !c.Decides(d.Seq) || r.b.UsesML && l.mode == Heuristic {
		return false
	}
	if t.busy = !r.take(); t.busy {
		return false
	}
	defer r.chain.Unlock()
	mine := *d
	mine.Part = &Part{Rollout: c.Rollout, Role: Canary, Other: l.b.Version}
	if err := l.e.episode(ctx, r.seat, t.in, &mine); err != nil {
		mine.ID, mine.Part.Decision = newID(), d.ID
		mine.Outcome, mine.Reason = Failed, "it failed in a pass that it was to decide; the version in charge decided"
		t.failed = &mine
		return false
	}
	if c.Narrow != nil && mine.Plan != nil {
		wanted := mine.Plan
		plan, narrowed := c.Narrow(*wanted, mine.Observation)
		if len(narrowed) > 0 {
			mine.Plan, mine.Part.Wanted, mine.Part.Narrowed = &plan, wanted, narrowed
		}
	}
	*d = mine
	return true
}

// contest gives a pass that has been decided to the other version: a shadow pass to the contender, or, after a canary, to the
// version in charge, which so keeps its contexts and its rhythm.
func (l *loop) contest(ctx context.Context, start time.Time, t turn, d *Decision) {
	r := l.rival
	if r == nil || !t.seen || ctx.Err() != nil {
		return
	}
	switch c := r.settings(); {
	case t.failed != nil:
		l.e.c.Log.Note(*t.failed)
		c.Report(Contest{Key: d.Key, Rollout: c.Rollout, Decided: *d, Failed: t.failed})
	case t.busy:
		r.skip(*d, Busy)
	case d.Part != nil:
		other := shadowOf(d, c.Rollout)
		if err := l.own(ctx, t.in, &other); err == nil {
			l.follow(start, other.Verdict)
		}
		r.judge(d, &other)
	default:
		r.offer(job{seat: r.seat, in: t.in, decided: *d})
	}
}

// Contend has another version run beside the one in charge, with contexts that begin with what it makes of the present
// one. Where it runs already for that rollout, Share, Decides, Narrow and Report are taken over.
func (e *Engine) Contend(ctx context.Context, c Contender) error {
	what := fmt.Sprintf("run %s %s beside the version in charge", c.Binding.Key, c.Binding.Version)
	if err := c.Binding.Validate(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	l, err := e.find(c.Binding.Key)
	if err != nil {
		return err
	}
	if r := l.contender(); r != nil && r.settings().Rollout == c.Rollout {
		r.adjust(c)
		return nil
	}
	var schema uint32
	var state []byte
	if err := l.do(ctx, func(context.Context) { schema, state = l.b.Schema, l.state }); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if state, err = e.inherit(ctx, c.Binding, schema, state); err != nil && c.Back {
		e.c.Logger.Warn("version goes back to the context that it left", "loop", l.key.String(), "version", c.Binding.Version, "error", err)
		state, err = e.load(ctx, c.Binding)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	r := newRival(e, c, state)
	var joined error
	if err := l.do(ctx, func(ctx context.Context) { joined = l.join(ctx, r) }); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if joined != nil {
		return fmt.Errorf("%s: %w", what, joined)
	}
	return nil
}

func (l *loop) join(ctx context.Context, r *rival) error {
	if l.rival != nil {
		return &Error{Code: "rollout.busy", What: "run a version beside " + l.b.Key.String(),
			Why: "another one runs there already", Hint: "end its rollout first"}
	}
	l.setRival(r)
	if l.started {
		r.launch(ctx)
	}
	return nil
}

// contender is the loop's, for other goroutines.
func (l *loop) contender() *rival {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rival
}

func (l *loop) setRival(r *rival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rival = r
}

// Swap exchanges the version in charge and its contender between two passes, each with the contexts that it has. The one
// that was in charge is the contender from then on, so that swapping again takes the change back. What stands stays until
// the new version decides otherwise; it looks at once. Everything that can be done before or after is done outside of the loop.
func (e *Engine) Swap(ctx context.Context, k Key) error {
	l, err := e.find(k)
	if err != nil {
		return err
	}
	r := l.contender()
	if r == nil {
		return noContender(k)
	}
	r.seize()
	defer r.chain.Unlock()
	watch, unwatched := l.watchFor(r.seat.bounds)
	var before func()
	gone := true
	err = l.do(ctx, func(ctx context.Context) {
		if gone = l.rival != r; gone {
			return
		}
		before = l.exchange(ctx, watch, unwatched)
	})
	if gone {
		before = watch
	}
	if before != nil {
		before()
	}
	switch {
	case err != nil:
		return fmt.Errorf("swap the versions of %s: %w", k, err)
	case gone:
		return noContender(k)
	}
	return nil
}

// outlive has the version in charge look at once where a contender that has gone left knobs behind.
func (l *loop) outlive(gone *seat, undo bool) {
	if now := time.Now(); l.disown(gone, undo) && !l.off() && !l.deafUntil.After(now) {
		l.periodicAt = now
	}
}

func noContender(k Key) error {
	return &Error{Code: "rollout.no-contender", What: "swap the versions of " + k.String(),
		Why: "no other version runs beside the one in charge", Hint: "begin a rollout first"}
}

// exchange swaps the seats, and the watches, of which it returns the one that is no longer needed.
func (l *loop) exchange(ctx context.Context, watch func(), unwatched string) (before func()) {
	began := time.Now()
	l.seat, l.rival.seat = l.rival.seat, l.seat
	before, l.unwatch, l.unwatched = l.unwatch, watch, unwatched
	l.save()
	l.begin(ctx, began)
	if l.e.c.OnSwap != nil {
		l.e.c.OnSwap(l.b.Key, time.Since(began))
	}
	return before
}

// Dismiss ends the contender of a loop, and waits until it has. It does nothing where there is none. The knobs that it set as a
// canary go back unless the version in charge, which looks at once, sets them too; undo says the same of what it set while it
// was in charge itself.
func (e *Engine) Dismiss(ctx context.Context, k Key, undo bool) error {
	l, err := e.find(k)
	if err != nil {
		return err
	}
	var r *rival
	err = l.do(ctx, func(context.Context) {
		if r = l.rival; r != nil {
			l.setRival(nil)
			l.outlive(r.seat, undo)
		}
	})
	if err != nil {
		return fmt.Errorf("end the contender of %s: %w", k, err)
	}
	r.stop()
	return nil
}
