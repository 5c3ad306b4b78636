package api

import "time"

// CheckStatus is the result of a check.
type CheckStatus string

const (
	CheckOK   CheckStatus = "ok"
	CheckWarn CheckStatus = "warn"
	CheckFail CheckStatus = "fail"
)

// DoctorReport is the result of every check.
type DoctorReport struct {
	Status    CheckStatus   `json:"status" enum:"ok,warn,fail" doc:"Worst status of all checks."`
	CheckedAt time.Time     `json:"checked_at" doc:"When the checks ran."`
	Checks    []CheckResult `json:"checks" doc:"Checks, in order."`
}

// CheckResult is the result of one check.
type CheckResult struct {
	Name       string      `json:"name" example:"state-folder" doc:"Name of the check."`
	Status     CheckStatus `json:"status" enum:"ok,warn,fail" doc:"Result."`
	Detail     string      `json:"detail" doc:"What was found."`
	Hint       string      `json:"hint,omitempty" doc:"What to do about it."`
	DurationUS uint64      `json:"duration_us" doc:"How long the check took."`
}
