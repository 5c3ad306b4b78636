package mechanisms

import (
	"fmt"
	"time"
)

// Verb is what a command asks for.
type Verb string

// The verbs.
const (
	Set   Verb = "set"   // hold the knobs at these values under a lease
	Reset Verb = "reset" // let go of the owner's knobs: all of them, or those named
)

// Setting asks for one knob to be at one value. In a command the name may be a pattern ("policy*/max_frequency",
// path.Match syntax) or one of the shorthands that the driver documents.
type Setting struct {
	Knob  string `json:"knob"`
	Value Value  `json:"value,omitzero"`
}

// Command is one request to a mechanism. It takes effect as a whole or not at all.
type Command struct {
	Mechanism string        `json:"mechanism"`
	Verb      Verb          `json:"verb"`
	Settings  []Setting     `json:"settings,omitempty"`
	Owner     string        `json:"owner"`              // the policy or the person; holds the lease
	Plan      string        `json:"plan,omitempty"`     // the decision behind it, for the audit
	Priority  int           `json:"priority,omitempty"` // higher wins; among equals the first keeps the knob
	Lease     time.Duration `json:"lease,omitempty"`    // 0 = the supervisor's default
}

// maxSettings bounds a command; a machine of a thousand CPUs with all its knobs stays well below.
const maxSettings = 16384

func (c Command) validate() error {
	op := fmt.Sprintf("%s %s", c.Verb, c.Mechanism)
	switch {
	case c.Verb != Set && c.Verb != Reset:
		return &Error{Code: CodeBadCommand, Op: "apply command", Why: fmt.Sprintf("%q is no verb", c.Verb), Hint: "use set or reset"}
	case c.Owner == "":
		return &Error{Code: CodeBadCommand, Op: op, Why: "the command names no owner", Hint: "say which policy or person asks; the lease is theirs"}
	case c.Verb == Set && len(c.Settings) == 0:
		return &Error{Code: CodeBadCommand, Op: op, Why: "there is nothing to set", Hint: "name at least one knob and its value"}
	case len(c.Settings) > maxSettings:
		return &Error{Code: CodeBadCommand, Op: op, Why: fmt.Sprintf("%d settings in one command", len(c.Settings)), Hint: "use a pattern such as policy*/max_frequency"}
	case c.Lease < 0:
		return &Error{Code: CodeBadCommand, Op: op, Why: "the lease is negative", Hint: "leave it out for the default"}
	}
	return nil
}
