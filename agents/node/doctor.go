package node

import (
	"context"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// examiner looks at what only the running agent can see.
type examiner struct{ n *Node }

// Examine implements apiserver.Doctor.
func (e examiner) Examine(ctx context.Context) (api.DoctorReport, error) {
	report := api.DoctorReport{Status: api.CheckOK, CheckedAt: time.Now().UTC()}
	for _, c := range []struct {
		name string
		look func(context.Context) (api.CheckStatus, string, string)
	}{
		{"mechanisms", e.mechanisms}, {"policies", e.policies}, {"state", e.state}, {"audit", e.audit},
	} {
		start := time.Now()
		status, detail, hint := c.look(ctx)
		report.Checks = append(report.Checks, api.CheckResult{
			Name: c.name, Status: status, Detail: detail, Hint: hint, DurationUS: uint64(time.Since(start).Microseconds()),
		})
		if worse(status, report.Status) {
			report.Status = status
		}
	}
	return report, ctx.Err()
}

func worse(a, b api.CheckStatus) bool {
	rank := map[api.CheckStatus]int{api.CheckOK: 0, api.CheckWarn: 1, api.CheckFail: 2}
	return rank[a] > rank[b]
}

func (e examiner) mechanisms(ctx context.Context) (api.CheckStatus, string, string) {
	all, err := e.n.Mechanisms.List(ctx)
	if err != nil {
		return api.CheckFail, err.Error(), "see the daemon's log"
	}
	available := 0
	for _, m := range all {
		if m.Available {
			available++
		}
	}
	if available == 0 {
		return api.CheckWarn, "this node has none of the mechanisms that this program knows", "see `edgehold mechanism list` for the reasons"
	}
	if e.n.guardPID.Load() == 0 {
		return api.CheckFail, "no guard process watches over the knobs", "see the daemon's log for why it does not start"
	}
	if left := e.n.supervisor.Outstanding(); left > 0 {
		return api.CheckOK, fmt.Sprintf("%d available, %d knobs away from their old values", available, left), ""
	}
	return api.CheckOK, fmt.Sprintf("%d available", available), ""
}

func (e examiner) policies(ctx context.Context) (api.CheckStatus, string, string) {
	all, err := e.n.Policies.List(ctx)
	if err != nil {
		return api.CheckFail, err.Error(), "see the daemon's log"
	}
	for _, p := range all {
		if p.State == api.PolicyQuarantined {
			return api.CheckFail, fmt.Sprintf("%s is quarantined: %s", p.Name, p.StateReason), "upload a mended version, or roll back to one that worked"
		}
	}
	for _, p := range all {
		if p.State == api.PolicyWaiting {
			return api.CheckWarn, fmt.Sprintf("%s waits: %s", p.Name, p.StateReason), "see `edgehold policy get " + p.Name + "`"
		}
	}
	return api.CheckOK, fmt.Sprintf("%d known", len(all)), ""
}

func (e examiner) state(context.Context) (api.CheckStatus, string, string) {
	r := e.n.db.Report()
	switch {
	case r.Damage != "":
		return api.CheckWarn, fmt.Sprintf("the database was damaged (%s) and set aside as %s", r.Damage, r.SetAside), "check the disk; keep the file if you need what is lost"
	case r.Unclean:
		return api.CheckOK, "recovered after an unclean stop", ""
	}
	return api.CheckOK, "sound", ""
}

func (e examiner) audit(ctx context.Context) (api.CheckStatus, string, string) {
	v, err := e.n.Audit.Verify(ctx)
	if err != nil || !v.Whole {
		return api.CheckFail, "the audit does not verify: " + v.Detail, "somebody changed it, or the disk did: compare with your copy of its head"
	}
	return api.CheckOK, fmt.Sprintf("%d entries, the chain is whole", v.Entries), ""
}
