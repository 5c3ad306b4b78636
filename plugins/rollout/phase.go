package rollout

// Phase says how far the candidate of a rollout has come.
type Phase string

// The phases. A rollout is over in none of the first six and in all of the last four, [PhaseActive] once it is settled.
const (
	// PhaseNone is before the first rollout of a policy.
	PhaseNone Phase = ""
	// PhasePending waits for the module's bytes, or for the end of a hold-down.
	PhasePending Phase = "pending"
	// PhaseFetched has the bytes; signatures are being looked at.
	PhaseFetched Phase = "fetched"
	// PhaseVerified knows who vouches for the bytes; structure, manifest and grants are being looked at.
	PhaseVerified Phase = "verified"
	// PhaseValidated may run; it is being compiled, frozen and tried on its golden vectors.
	PhaseValidated Phase = "validated"
	// PhasePrepared could decide at once; it waits for a person, or is being activated.
	PhasePrepared Phase = "prepared"
	// PhaseShadow runs beside the version in charge on the same inputs. Nothing that it plans is applied.
	PhaseShadow Phase = "shadow"
	// PhaseCanary decides a share of the passes, with clamped changes.
	PhaseCanary Phase = "canary"
	// PhaseActive decides. Until it is settled it is on probation.
	PhaseActive Phase = "active"
	// PhaseStandby could take over at once, and the version before it decides.
	PhaseStandby Phase = "standby"
	// PhaseRetired does not run any more: it was aborted, refused, or rolled back.
	PhaseRetired Phase = "retired"
	// PhaseQuarantined was rolled back so often that only a person can start it again.
	PhaseQuarantined Phase = "quarantined"
)

// ends reports whether a candidate in this phase has left the way into charge.
func (p Phase) ends() bool {
	return p == PhaseStandby || p == PhaseRetired || p == PhaseQuarantined
}

// Phases lists those that a candidate goes through if all is well.
func Phases() []Phase {
	return []Phase{PhasePending, PhaseFetched, PhaseVerified, PhaseValidated, PhasePrepared, PhaseShadow, PhaseCanary, PhaseActive}
}
