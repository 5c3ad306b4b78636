package api

import "fmt"

// ProblemContentType is the media type of a [Problem].
const ProblemContentType = "application/problem+json"

// Problem is an RFC 9457 problem document with the four parts that a person needs: what was attempted (Detail), why it
// failed, what to do, and a stable code. It is an error.
type Problem struct {
	Type   string `json:"type" example:"urn:edgehold:problem:policy.not-found" doc:"The code as a URN."`
	Title  string `json:"title" example:"Not Found" doc:"Phrase of the HTTP status."`
	Status int    `json:"status" example:"404" doc:"HTTP status."`
	Detail string `json:"detail" example:"get policy load-follower: no such policy" doc:"What was attempted and failed."`
	Code   string `json:"code" example:"policy.not-found" doc:"Stable code."`
	Why    string `json:"why,omitempty" doc:"Cause."`
	Hint   string `json:"hint,omitempty" doc:"What to do."`

	Errors []ProblemField `json:"errors,omitempty" doc:"Each thing wrong with the request."`
}

// ProblemField is one thing wrong with a request.
type ProblemField struct {
	Location string `json:"location,omitempty" example:"body.settings[0].knob" doc:"Where in the request."`
	Message  string `json:"message" doc:"What is wrong."`
}

// ProblemType returns the type URN of a code.
func ProblemType(code string) string { return "urn:edgehold:problem:" + code }

// Error says what was attempted and failed.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return fmt.Sprintf("request failed with status %d (%s)", p.Status, p.Title)
}

// ErrorCode returns the stable code.
func (p *Problem) ErrorCode() string { return p.Code }

// ErrorWhy returns the cause.
func (p *Problem) ErrorWhy() string { return p.Why }

// ErrorHint says what to do.
func (p *Problem) ErrorHint() string { return p.Hint }
