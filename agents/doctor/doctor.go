// Package doctor examines a node by small checks, each of which finds one thing and says what to do about it.
// It is not monitoring: checks run when a person asks, change nothing, and remember nothing.
package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// checkTimeout bounds one check. What hangs is itself a finding.
const checkTimeout = 5 * time.Second

// Check finds one thing.
type Check struct {
	// Name is short, lower case, with dashes.
	Name string
	// Run looks. It should obey its context; if it does not, the report goes on without it.
	Run func(ctx context.Context) Result
}

// Result is what a check found.
type Result struct {
	Status api.CheckStatus
	// Detail is one sentence about what was found, Hint one about what to do. Only what is not ok needs a hint.
	Detail, Hint string
}

// OK is a result without a fault.
func OK(format string, args ...any) Result {
	return Result{Status: api.CheckOK, Detail: fmt.Sprintf(format, args...)}
}

// Warn is a result that a person should know.
func Warn(hint, format string, args ...any) Result {
	return Result{Status: api.CheckWarn, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Fail is a result that keeps the node from its work.
func Fail(hint, format string, args ...any) Result {
	return Result{Status: api.CheckFail, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// Examine runs checks one after the other and reports them in order. The report's status is the worst of them. A check
// that panics or hangs fails; one that hangs keeps its goroutine until it returns.
func Examine(ctx context.Context, checks []Check) api.DoctorReport {
	report := api.DoctorReport{Status: api.CheckOK, CheckedAt: time.Now().UTC(), Checks: make([]api.CheckResult, 0, len(checks))}
	for _, check := range checks {
		began := time.Now()
		found := bounded(ctx, check)
		report.Status = worse(report.Status, found.Status)
		report.Checks = append(report.Checks, api.CheckResult{Name: check.Name, Status: found.Status, Detail: found.Detail, Hint: found.Hint,
			DurationUS: uint64(time.Since(began).Microseconds())})
	}
	return report
}

func bounded(ctx context.Context, check Check) Result {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	done := make(chan Result, 1)
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				done <- Fail("report this as a fault of Edgehold", "the check itself failed: %v", cause)
			}
		}()
		done <- check.Run(ctx)
	}()
	select {
	case found := <-done:
		return found
	case <-ctx.Done():
		return Fail("something that the check looked at hangs; see the kernel's log", "the check did not end: %v", ctx.Err())
	}
}

// severity orders statuses.
var severity = map[api.CheckStatus]int{api.CheckOK: 0, api.CheckWarn: 1, api.CheckFail: 2}

func worse(a, b api.CheckStatus) api.CheckStatus {
	if severity[b] > severity[a] {
		return b
	}
	return a
}
