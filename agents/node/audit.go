package node

import (
	"context"
	"fmt"
	"strconv"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/state"
)

// audit is the trail of who did what, as the API sees it.
type audit struct{ db *state.DB }

// auditScan bounds how many entries one page looks at; a filter that matches little goes on at the next cursor.
const auditScan = 5000

// List implements apiserver.Audit.
func (a audit) List(ctx context.Context, f api.AuditFilter) (api.AuditPage, error) {
	page := api.AuditPage{Items: []api.AuditEntry{}}
	before, err := cursor(f.Cursor)
	if err != nil {
		return page, err
	}
	for scanned := 0; scanned < auditScan; {
		entries, err := a.db.AuditTrail(ctx, before, max(f.Limit, 1))
		if err != nil || len(entries) == 0 {
			return page, err
		}
		for _, e := range entries {
			before = e.Seq
			if matches(f, e) {
				page.Items = append(page.Items, auditEntry(e))
			}
			if len(page.Items) == f.Limit {
				page.Next = strconv.FormatInt(before, 10)
				return page, nil
			}
		}
		scanned += len(entries)
	}
	page.Next = strconv.FormatInt(before, 10)
	return page, nil
}

func cursor(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return 0, &Error{Code: "audit.bad-cursor", What: "list the audit", Why: fmt.Sprintf("%q is not a cursor of it", s), Hint: "use the next field of the page before"}
	}
	return n, nil
}

func matches(f api.AuditFilter, e state.Entry) bool {
	return (f.Action == "" || f.Action == e.Action) && (f.Target == "" || f.Target == e.Subject) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

func auditEntry(e state.Entry) api.AuditEntry {
	out := api.AuditEntry{
		Seq: uint64(e.Seq), At: e.Time, Actor: e.Actor, Action: e.Action, Target: e.Subject, Outcome: e.Outcome, Code: e.Code, Hash: e.Hash,
	}
	if e.Detail != "" {
		out.Detail = map[string]string{"detail": e.Detail}
	}
	return out
}

// Verify implements apiserver.Audit.
func (a audit) Verify(ctx context.Context) (api.AuditVerification, error) {
	checked, err := a.db.VerifyAudit(ctx)
	out := api.AuditVerification{Whole: err == nil, Entries: uint64(checked)}
	if err != nil {
		out.BrokenAt, out.Detail = uint64(checked)+1, err.Error()
	}
	if newest, err := a.db.AuditTrail(ctx, 0, 1); err == nil && len(newest) == 1 {
		out.Head = newest[0].Hash
	}
	return out, nil
}

// RecordRefusal implements apiserver.Audit.
func (a audit) RecordRefusal(ctx context.Context, by api.Actor, action, target string, p *api.Problem) error {
	return a.db.Audit(ctx, state.Entry{
		Actor: by.String(), Action: action, Subject: target, Outcome: "refused", Code: p.Code, Detail: p.Error(),
	})
}
