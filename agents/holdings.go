package agents

import (
	"context"
	"maps"
	"slices"
	"time"
)

type knobName struct{ mechanism, knob string }

// standing is a setting that the policy made and nobody has taken back.
type standing struct {
	lease   LeaseID
	length  time.Duration
	renewAt time.Time // zero: it ends with its lease, as the plan asked
	ends    time.Time // of one that is not renewed
	by      author
	// disowned: goes back after the next pass, unless that sets it again
	disowned bool
}

// author is the version that made a setting, and whether it was in charge.
type author struct {
	version, module string
	canary          bool
}

func authorOf(d *Decision) author {
	return author{version: d.Version, module: d.Module, canary: d.Part != nil && d.Part.Role == Canary}
}

// holdings are the settings that stand, by knob. They stand until the policy
// sets or resets the knob again, fails for good, or is taken away; one for which
// the plan named a lease also ends with that.
type holdings map[knobName]standing

// renewAt is when the next lease wants renewing: after a third of its length, so
// that two attempts may fail.
func (h holdings) renewAt() time.Time {
	var first time.Time
	for _, s := range h {
		first = earliest(first, s.renewAt)
	}
	return first
}

// take records the outcome of a command.
func (h holdings) take(c Command, r Result, by author, now time.Time) {
	if !r.Effect.Done() {
		return
	}
	if c.Verb == Reset {
		h.drop(c)
		return
	}
	length := c.Lease
	if r.TTL > 0 {
		length = r.TTL
	}
	for _, s := range c.Settings {
		st := standing{lease: r.Lease, length: length, by: by}
		switch {
		case !c.Standing:
			st.ends = now.Add(length)
		case r.Lease != "":
			st.renewAt = now.Add(length / 3)
		}
		h[knobName{c.Mechanism, s.Knob}] = st
	}
}

func (h holdings) drop(c Command) {
	for k := range h {
		if k.mechanism == c.Mechanism && (len(c.Settings) == 0 || slices.ContainsFunc(c.Settings, func(s Setting) bool { return s.Knob == k.knob })) {
			delete(h, k)
		}
	}
}

// due returns the leases that want renewing, and their lengths.
func (h holdings) due(now time.Time) map[LeaseID]time.Duration {
	leases := make(map[LeaseID]time.Duration)
	for _, s := range h {
		if due(s.renewAt, now) {
			leases[s.lease] = s.length
		}
	}
	return leases
}

func (h holdings) renewed(lease LeaseID, now time.Time) {
	for k, s := range h {
		if s.lease == lease && s.ends.IsZero() {
			s.renewAt = now.Add(s.length / 3)
			h[k] = s
		}
	}
}

func (h holdings) lost(lease LeaseID) (knobs []string) {
	for k, s := range h {
		if s.lease == lease {
			knobs = append(knobs, k.mechanism+" "+k.knob)
			delete(h, k)
		}
	}
	slices.Sort(knobs)
	return knobs
}

// prune forgets what has ended with its lease.
func (h holdings) prune(now time.Time) {
	maps.DeleteFunc(h, func(_ knobName, s standing) bool { return !s.ends.IsZero() && now.After(s.ends) })
}

func (h holdings) names() (knobs []string) {
	for k := range h {
		knobs = append(knobs, k.mechanism+" "+k.knob)
	}
	slices.Sort(knobs)
	return knobs
}

// all groups everything that is held, for release.
func (h holdings) all(owner Key, why string) []Holding {
	type group struct {
		mechanism string
		lease     LeaseID
	}
	groups := make(map[group][]string)
	for k, s := range h {
		g := group{k.mechanism, s.lease}
		groups[g] = append(groups[g], k.knob)
	}
	var out []Holding
	for g, knobs := range groups {
		slices.Sort(knobs)
		out = append(out, Holding{Mechanism: g.mechanism, Owner: owner, Knobs: knobs, Lease: g.lease, Why: why})
	}
	return out
}

// hold records what a plan's commands left standing.
func (l *loop) hold(p *pending) {
	now := time.Now()
	for i, r := range p.decision.Results {
		l.held.take(p.commands[i], r, authorOf(p.decision), now)
	}
}

// renew extends the leases that want it. Because the loop itself does so, a loop
// that hangs loses its knobs.
func (l *loop) renew(ctx context.Context, now time.Time) {
	for lease, length := range l.held.due(now) {
		err := l.e.c.Actuator.Renew(ctx, lease, length)
		if err != nil && ctx.Err() == nil && !l.acting { // else its own plan may just have taken the lease's place
			l.e.c.Logger.Warn("lease is lost", "loop", l.b.Key.String(), "lease", string(lease),
				"knobs", l.held.lost(lease), "error", err)
			continue
		}
		l.held.renewed(lease, now)
	}
}

// release gives back everything that the loop holds. What can't be given back
// goes when its lease does.
func (l *loop) release(ctx context.Context, why string) {
	l.giveBack(ctx, l.held, why)
	clear(l.held)
}

// releaseRevoked gives back what the binding does not grant any more.
func (l *loop) releaseRevoked(ctx context.Context) {
	l.releaseWhere(ctx, "the policy is not granted the knob any more", func(k knobName, _ standing) bool {
		return !l.b.granted(Action{Mechanism: k.mechanism, Knob: k.knob, Verb: Set})
	})
}

func (l *loop) releaseWhere(ctx context.Context, why string, is func(knobName, standing) bool) {
	picked := make(holdings)
	for k, s := range l.held {
		if is(k, s) {
			picked[k] = s
			delete(l.held, k)
		}
	}
	l.giveBack(ctx, picked, why)
}

func (l *loop) releaseDisowned(ctx context.Context) {
	l.releaseWhere(ctx, "the version that set it has gone", func(_ knobName, s standing) bool { return s.disowned })
}

// disown has what a version set that goes away put back, as soon as the one in charge has looked and not set it again: at
// once would have knobs twitch that both agree on. What it set while it was in charge is left alone unless all says so.
// It reports whether there is any.
func (l *loop) disown(s *seat, all bool) (some bool) {
	for k, st := range l.held {
		if st.by.version == s.b.Version && st.by.module == s.b.Module && (all || st.by.canary) {
			st.disowned, some = true, true
			l.held[k] = st
		}
	}
	return some
}

func (l *loop) giveBack(ctx context.Context, held holdings, why string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.e.c.ApplyTimeout)
	defer cancel()
	for _, h := range held.all(l.b.Key, why) {
		if err := l.e.c.Actuator.Release(ctx, h); err != nil {
			l.e.c.Logger.Error("knobs are not released; their lease will run out", "loop", l.b.Key.String(),
				"mechanism", h.Mechanism, "knobs", h.Knobs, "error", err)
		}
	}
}
