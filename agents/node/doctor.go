package node

import (
	"context"
	"slices"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/doctor"
	"github.com/edgehold/edgehold/mechanisms"
)

// examiner looks at the machine, and at what only the running agent can see.
type examiner struct{ n *Node }

// Examine implements apiserver.Doctor.
func (e examiner) Examine(ctx context.Context) (api.DoctorReport, error) {
	root := e.n.config.MechanismPlugins.Root
	checks := doctor.General(doctor.Machine{Root: root, State: e.n.config.StateDirectory})
	if root != "/" { // a recorded machine has knobs, and neither a kernel nor processes
		checks = slices.DeleteFunc(checks, func(c doctor.Check) bool { return c.Name == "kernel" || c.Name == "power-managers" })
	}
	checks = append(checks,
		doctor.Check{Name: "guard", Run: e.guard},
		doctor.Check{Name: "mechanisms", Run: e.mechanisms},
		doctor.Check{Name: "policies", Run: e.policies},
		doctor.Check{Name: "state", Run: e.state},
		doctor.Check{Name: "audit", Run: e.audit},
		doctor.Check{Name: "trust", Run: e.n.Trust.Check},
		doctor.Check{Name: "devices", Run: e.devices},
	)
	return doctor.Examine(ctx, checks), ctx.Err()
}

func (e examiner) guard(context.Context) doctor.Result {
	switch pid := e.n.guardPID.Load(); {
	case len(e.n.supervisor.Describe()) == 0:
		return doctor.OK("nothing to guard")
	case pid == 0 && !e.n.Ready():
		return doctor.Warn("ask again in a moment", "the guard is being started")
	case pid == 0:
		return doctor.Fail("see the daemon's log for why it does not start", "no guard process watches over the knobs")
	default:
		return doctor.OK("process %d puts knobs back should the daemon die", pid)
	}
}

func (e examiner) mechanisms(ctx context.Context) doctor.Result {
	all, err := e.n.Mechanisms.List(ctx)
	if err != nil {
		return doctor.Fail("see the daemon's log", "%v", err)
	}
	available := 0
	for _, m := range all {
		if m.Available {
			available++
		}
	}
	if available == 0 {
		return doctor.Warn("see `edgehold mechanism list` for the reasons", "this node has none of the mechanisms that this program knows")
	}
	return doctor.OK("%d available, %d knobs away from their old values", available, e.n.supervisor.Outstanding())
}

func (e examiner) policies(ctx context.Context) doctor.Result {
	all, err := e.n.Policies.List(ctx)
	if err != nil {
		return doctor.Fail("see the daemon's log", "%v", err)
	}
	result := doctor.OK("%d known", len(all))
	for _, p := range all {
		switch p.State {
		case api.PolicyQuarantined:
			return doctor.Fail("upload a mended version, or roll back to one that worked", "%s is quarantined: %s", p.Name, p.StateReason)
		case api.PolicyWaiting:
			result = doctor.Warn("see `edgehold policy get "+p.Name+"`", "%s waits: %s", p.Name, p.StateReason)
		}
	}
	return result
}

func (e examiner) state(context.Context) doctor.Result {
	switch r := e.n.db.Report(); {
	case r.Damage != "":
		return doctor.Warn("check the disk; keep the file if you need what is lost", "the database was damaged (%s) and set aside as %s", r.Damage, r.SetAside)
	case r.Unclean:
		return doctor.OK("recovered after an unclean stop")
	}
	return doctor.OK("sound")
}

func (e examiner) audit(ctx context.Context) doctor.Result {
	v, err := e.n.Audit.Verify(ctx)
	if err != nil || !v.Whole {
		return doctor.Fail("somebody changed it, or the disk did: compare with your copy of its head", "the audit does not verify: %s", v.Detail)
	}
	events, err := mechanisms.VerifyAudit(e.n.folder("mechanisms"), nil)
	if err != nil {
		return doctor.Fail("somebody changed it, or the disk did", "the mechanisms' audit does not verify: %v", err)
	}
	return doctor.OK("%d entries and %d writes to knobs, both chains are whole", v.Entries, events)
}
