package rollout

import (
	"fmt"
	"slices"
	"time"
)

const maxName = 200

// MaxBeforeBytes bounds [Begin.Before].
const MaxBeforeBytes = 64 << 10

// start begins a rollout, unless something speaks against it.
func (m *machine) start() {
	b := m.e.Start
	if b == nil || b.ID == "" || b.Digest == "" || max(len(b.ID), len(b.Digest), len(b.Version), len(b.Active), len(b.Standby)) > maxName {
		m.refuse("rollout.bad-start", "it does not say which version to roll out", "name a rollout and a digest")
		return
	}
	if len(b.Before) > MaxBeforeBytes {
		m.refuse("rollout.bad-start", fmt.Sprintf("what is to be kept for it has %d bytes, more than %d", len(b.Before), MaxBeforeBytes), "")
		return
	}
	if err := b.Spec.Validate(); err != nil {
		m.refuse("rollout.bad-spec", err.Error(), "mend what is listed")
		return
	}
	if !m.mayStart(b) || !m.mayRun(b) {
		return
	}
	if !m.Over() && m.Phase != PhaseActive {
		m.discard("another version was started")
	}
	m.begin(b)
}

// mayStart reports whether a rollout that is under way lets this one begin. One on probation is in charge already, so it does.
func (m *machine) mayStart(b *Begin) bool {
	switch {
	case b.Digest == b.Active:
		m.refuse("rollout.already-active", "that version is in charge already", "")
	case m.Pending != "":
		m.refuse("rollout.busy", "version "+m.Version+" is being put in charge or taken back", "try again in a moment")
	case m.Over(), m.Phase == PhaseActive, b.Supersede && b.Digest != m.Digest:
		return true
	default:
		m.refuse("rollout.running", "version "+m.Version+" is being rolled out ("+string(m.Phase)+")", "promote it, abort it, or supersede it")
	}
	return false
}

// mayRun reports whether the version itself may be started.
func (m *machine) mayRun(b *Begin) bool {
	word := m.e.Person && b.Force
	quarantined := b.Quarantined || m.Mark(b.Digest).Quarantined
	switch {
	case quarantined && !word:
		m.refuse("rollout.quarantined", "that version is quarantined: "+orDefault(m.Mark(b.Digest).Why, "it misbehaved"), "mend it and upload it with a new digest, or insist by force")
	case !m.room(b.Digest):
		m.refuse("rollout.too-many-quarantined", "the list of quarantined versions of this policy is full", "pardon one of them")
	default:
		return true
	}
	return false
}

func (m *machine) begin(b *Begin) {
	if m.Settled || m.LastGood == "" || m.LastGood != b.Active && m.LastGood != b.Standby {
		m.LastGood = b.Active
	}
	m.State = State{
		Schema: Schema, ID: b.ID, Digest: b.Digest, Version: b.Version, Spec: b.Spec.WithDefaults(), Before: b.Before,
		Active: b.Active, Standby: b.Standby, LastGood: m.LastGood, Halted: m.Halted && b.Active == "",
		Marks: m.Marks, History: m.History, Up: m.e.At,
	}
	m.Spec.Gates = slices.Clone(m.Spec.Gates)
	if mark := m.Mark(b.Digest); m.e.Person && b.Force && (mark.Quarantined || b.Quarantined) {
		m.forgive(b.Digest)
	}
	m.enter(PhasePending, m.heldFor(b))
	if m.Ends.IsZero() {
		m.act(Action{Kind: Fetch, Digest: m.Digest})
	}
}

// heldFor is how long the version has to wait for the end of its hold-down. What failed without blame holds nobody back
// but agents, which would try again at once.
func (m *machine) heldFor(b *Begin) time.Duration {
	mark := m.Mark(b.Digest)
	if m.e.Person && (b.Force || mark.Strikes == 0) || mark.HeldUntil.IsZero() {
		return 0
	}
	return min(max(0, mark.HeldUntil.Sub(m.e.At)), maxHoldDown) // the clock may have gone back since
}
