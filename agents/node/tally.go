package node

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/plugins/rollout"
)

// tally counts what the engine reports of a rollout's passes, for the phase that it is in.
type tally struct {
	candidate string // digest

	mu         sync.Mutex
	phase      rollout.Phase
	r          rollout.Reading // the counters
	live, next costs
	differs    string // id of the newest decision that differs
}

// costs is what the passes of one version cost.
type costs struct {
	passes, fuel uint64
	newest       [256]time.Duration // of the last passes
}

func (c *costs) add(d *agents.Decision) {
	c.newest[c.passes%uint64(len(c.newest))] = d.Phases.Took()
	c.passes++
	c.fuel += d.Fuel
}

func (c *costs) mean() uint64 {
	if c.passes == 0 {
		return 0
	}
	return c.fuel / c.passes
}

func (c *costs) quantiles() (p50, p99 time.Duration) {
	n := min(c.passes, uint64(len(c.newest)))
	if n == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(c.newest[:n]))
	return sorted[n/2], sorted[(n*99)/100]
}

// begin starts counting for a phase.
func (t *tally) begin(phase rollout.Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.phase, t.r, t.live, t.next = phase, rollout.Reading{}, costs{}, costs{}
}

// add counts a pass and reports whether the candidate failed in it, which is not to wait for the next reading.
func (t *tally) add(c agents.Contest) (failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.r.Faults()
	decides := c.Decided.Module == t.candidate
	t.run(&c.Decided, decides)
	switch {
	case c.Failed != nil:
		t.fault(c.Failed.Failure)
	case c.Other != nil:
		t.run(c.Other, false)
		t.compare(&c)
	case c.Skipped != "" && c.Skipped != agents.NotCounted && !decides:
		t.r.Dropped++
	}
	return t.r.Faults() > before
}

// run counts what one version did.
func (t *tally) run(d *agents.Decision, decided bool) {
	if d.Module != t.candidate {
		if d.Failure == nil {
			t.live.add(d)
		}
		return
	}
	if decided == (t.phase != rollout.PhaseShadow) {
		t.r.Passes++
	}
	if d.Failure != nil {
		t.fault(d.Failure)
		return
	}
	t.next.add(d)
}

// compare leaves out passes that either failed: that is counted otherwise.
func (t *tally) compare(c *agents.Contest) {
	if c.Decided.Failure != nil || c.Other.Failure != nil {
		return
	}
	t.r.Compared++
	if c.Decided.Verdict.Plan == c.Other.Verdict.Plan {
		t.r.SameVerdict++
	}
	if c.Other.Part.Difference == "" {
		t.r.SamePlan++
	} else {
		t.differs = c.Other.ID
	}
}

// limits are the codes of failures that are limits. Other calls that fail trapped, and what is no call is a guest's error.
var limits = []string{"call.fuel", "call.deadline", "call.memory", "call.stack", "call.output", "call.host-calls"}

func (t *tally) fault(f *agents.Failure) {
	switch {
	case f.Phase == "observe" || f.Phase == "log": // not its fault
	case slices.Contains(limits, f.Code):
		t.r.Limits++
	case strings.HasPrefix(f.Code, "call."):
		t.r.Traps++
	default:
		t.r.GuestErrors++
	}
}

// reading is what was counted since the phase began.
func (t *tally) reading() rollout.Reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.r
	r.FuelLive, r.FuelNext = t.live.mean(), t.next.mean()
	r.P50Live, r.P99Live = t.live.quantiles()
	r.P50Next, r.P99Next = t.next.quantiles()
	return r
}
