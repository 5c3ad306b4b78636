package apiservertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// SetSample gives a metric a value.
func (a *Agent) SetSample(name string, value float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.samples[name] = value
}

// SetChecks replaces what the doctor finds.
func (a *Agent) SetChecks(checks ...api.CheckResult) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.checks = checks
}

type metrics struct{ *Agent }

func (a metrics) Query(_ context.Context, expr string, at time.Time) (api.MetricResult, error) {
	defer a.enter("metrics.Query")()
	return a.series(expr, []time.Time{at})
}

func (a metrics) QueryRange(_ context.Context, expr string, r api.MetricRange) (api.MetricResult, error) {
	defer a.enter("metrics.QueryRange")()
	var times []time.Time
	for t := r.Start; !t.After(r.End); t = t.Add(r.Step) {
		times = append(times, t)
	}
	return a.series(expr, times)
}

func (a metrics) series(expr string, times []time.Time) (api.MetricResult, error) {
	if strings.ContainsAny(expr, " ({[") {
		return api.MetricResult{}, &Error{"evaluate " + expr, "metric.bad-query", "this agent knows only metric names", "query a name"}
	}
	result := api.MetricResult{Type: "vector"}
	if len(times) > 1 {
		result.Type = "matrix"
	}
	value, ok := a.samples[expr]
	if !ok {
		return result, nil
	}
	series := api.MetricSeries{Labels: map[string]string{"__name__": expr}}
	for _, t := range times {
		if t.IsZero() {
			t = a.Now()
		}
		series.Points = append(series.Points, api.MetricPoint{TimeMS: t.UnixMilli(), Value: api.Float(value)})
	}
	result.Series = []api.MetricSeries{series}
	return result, nil
}

func (a metrics) Names(_ context.Context, prefix string) (names []api.MetricName, _ error) {
	defer a.enter("metrics.Names")()
	for _, name := range slices.Sorted(maps.Keys(a.samples)) {
		if strings.HasPrefix(name, prefix) {
			names = append(names, api.MetricName{Name: name, Series: 1, NewestAt: a.Now()})
		}
	}
	return names, nil
}

type mode struct{ *Agent }

func (a mode) Get(context.Context) (api.Mode, error) {
	defer a.enter("mode.Get")()
	return a.shown(), nil
}

func (a mode) shown() api.Mode {
	m := a.mode
	for _, name := range slices.Sorted(maps.Keys(a.policies)) {
		if m.Mode == api.ModeHeuristic && a.policies[name].active().manifest.UsesML {
			m.Suspended = append(m.Suspended, name)
		}
	}
	return m
}

func (a mode) Set(_ context.Context, m api.ModeName, by api.Actor) (api.Mode, error) {
	defer a.enter("mode.Set")()
	a.mode = api.Mode{Mode: m, Since: a.Now(), SetBy: by.String()}
	a.record(by, "mode.set", string(m), "done", nil)
	a.publish(api.ResourceMode, string(m), api.EventModeChanged, "")
	return a.shown(), nil
}

type doctor struct{ *Agent }

func (a doctor) Examine(context.Context) (api.DoctorReport, error) {
	defer a.enter("doctor.Examine")()
	report := api.DoctorReport{Status: api.CheckOK, CheckedAt: a.Now(), Checks: a.checks}
	for _, check := range a.checks {
		if check.Status == api.CheckFail || check.Status == api.CheckWarn && report.Status == api.CheckOK {
			report.Status = check.Status
		}
	}
	return report, nil
}

type audit struct{ *Agent }

func (a audit) List(_ context.Context, f api.AuditFilter) (page api.AuditPage, _ error) {
	defer a.enter("audit.List")()
	for _, entry := range slices.Backward(a.audit) {
		if (f.Action == "" || f.Action == entry.Action) && (f.Target == "" || f.Target == entry.Target) && len(page.Items) < f.Limit {
			page.Items = append(page.Items, entry)
		}
	}
	return page, nil
}

func (a audit) Verify(context.Context) (api.AuditVerification, error) {
	defer a.enter("audit.Verify")()
	v := api.AuditVerification{Whole: true, Entries: uint64(len(a.audit))}
	for i, entry := range a.audit {
		if a.hash(i, entry) != entry.Hash {
			return api.AuditVerification{BrokenAt: entry.Seq, Detail: "the hash does not fit"}, nil
		}
		v.Head = entry.Hash
	}
	return v, nil
}

func (a audit) RecordRefusal(_ context.Context, by api.Actor, action, target string, p *api.Problem) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.record(by, action, target, "refused", p)
	return nil
}

// Audit returns the audit, oldest first.
func (a *Agent) Audit() []api.AuditEntry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.audit)
}

// record adds to the audit; err says why it was refused. The lock is held.
func (a *Agent) record(by api.Actor, action, target, outcome string, err error) {
	entry := api.AuditEntry{Seq: uint64(len(a.audit) + 1), At: a.Now(), Actor: by.String(), Action: action, Target: target, Outcome: outcome}
	if err != nil {
		entry.Outcome = "refused"
		if coded, ok := err.(interface{ ErrorCode() string }); ok {
			entry.Code = coded.ErrorCode()
		}
	}
	entry.Hash = a.hash(len(a.audit), entry)
	a.audit = append(a.audit, entry)
}

func (a *Agent) hash(i int, e api.AuditEntry) string {
	before := ""
	if i > 0 {
		before = a.audit[i-1].Hash
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s %s %s %s %s", before, e.Seq, e.Actor, e.Action, e.Target, e.Outcome, e.Code))
	return hex.EncodeToString(sum[:])
}
