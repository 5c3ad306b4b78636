// Package apiservertest is an agent in memory for tests of what speaks to the HTTP interface: it stores policies, knobs, decisions and
// an audit, and follows the contracts in apiserver's backend.go.
// It is not an agent: it runs no module, turns no knob and evaluates no PromQL beyond a metric's name.
package apiservertest

import (
	"fmt"
	"sync"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
)

// Agent is the agent. Its fields may be filled before it serves.
type Agent struct {
	// Now is the clock.
	Now func() time.Time
	// Events is where changes are published.
	Events *apiserver.Events

	mu        sync.Mutex
	policies  map[string]*policy
	knobs     []api.Knob
	decisions []api.Decision // oldest first
	samples   map[string]float64
	mode      api.Mode
	audit     []api.AuditEntry // oldest first
	checks    []api.CheckResult
	fault     func(operation string)
	passed    time.Duration // on top of Now, for rollouts
	rolledOut int
}

// New returns an agent with one mechanism, CPUFrequency, whose only cpufreq policy runs between 800 MHz and 2.4 GHz.
func New(now func() time.Time) *Agent {
	return &Agent{
		Now:      now,
		Events:   apiserver.NewEvents(8),
		policies: map[string]*policy{},
		knobs:    newKnobs(),
		samples:  map[string]float64{},
		mode:     api.Mode{Mode: api.ModeHeuristic, Since: now(), SetBy: "daemon"},
		checks:   []api.CheckResult{{Name: "cpufreq", Status: api.CheckOK, Detail: "policy0 answers"}},
	}
}

// Backend is what a server needs.
func (a *Agent) Backend() apiserver.Backend {
	return apiserver.Backend{
		Policies:   policies{a},
		Rollouts:   rollouts{a},
		Mechanisms: mechanisms{a},
		Decisions:  decisions{a},
		Metrics:    metrics{a},
		Mode:       mode{a},
		Doctor:     doctor{a},
		Audit:      audit{a},
	}
}

// OnCall sets a function that every backend method calls first, with its name. It may panic or wait.
func (a *Agent) OnCall(fault func(operation string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// enter takes the lock; the caller gives it back by calling the result.
func (a *Agent) enter(operation string) (leave func()) {
	a.mu.Lock()
	fault := a.fault
	if fault != nil {
		a.mu.Unlock()
		fault(operation)
		a.mu.Lock()
	}
	return a.mu.Unlock
}

func (a *Agent) publish(resource api.Resource, name, kind, message string) {
	a.Events.Publish(api.Event{At: a.Now(), Resource: resource, Name: name, Kind: kind, Message: message})
}

// Error is an error with the parts that a person needs.
type Error struct{ Attempt, Code, Why, Hint string }

func (e *Error) Error() string     { return e.Attempt + ": " + e.Why }
func (e *Error) ErrorCode() string { return e.Code }
func (e *Error) ErrorWhy() string  { return e.Why }
func (e *Error) ErrorHint() string { return e.Hint }

func notFound(noun, attempt, name string) error {
	return &Error{fmt.Sprintf("%s %s %s", attempt, noun, name), noun + ".not-found", fmt.Sprintf("there is no %s of this name", noun),
		fmt.Sprintf("see edgehold %s list", noun)}
}
