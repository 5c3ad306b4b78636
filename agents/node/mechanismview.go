package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/mechanisms"
)

// knobs is the mechanisms as the API sees them.
type knobs struct {
	supervisor *mechanisms.Supervisor
	lacking    []api.Mechanism // known to this program, absent from this machine
	audit      func(ctx context.Context, by api.Actor, action, subject string, err error)
	adapters   func(mechanism string) *api.Adapter // nil for native mechanisms
}

// personPriority ranks a person above every policy.
const personPriority = 100

// List implements apiserver.MechanismReader.
func (k *knobs) List(ctx context.Context) ([]api.Mechanism, error) {
	out := slices.Clone(k.lacking)
	for _, d := range k.supervisor.Describe() {
		one, err := k.Get(ctx, d.Name)
		if err != nil {
			return nil, err
		}
		for i := range one.Knobs {
			one.Knobs[i].Table, one.Knobs[i].Choices = nil, nil
		}
		out = append(out, one)
	}
	slices.SortFunc(out, func(a, b api.Mechanism) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Get implements apiserver.MechanismReader.
func (k *knobs) Get(ctx context.Context, name string) (api.Mechanism, error) {
	m, err := k.supervisor.Mechanism(name)
	if err != nil {
		return k.lack(name, err)
	}
	out := describe(m.Describe())
	if out.Adapter = k.adapters(out.Name); out.Adapter != nil {
		out.Version = out.Adapter.Version
	}
	options, err := m.Options(ctx)
	var state mechanisms.State
	if err == nil {
		state, err = m.State(ctx)
	}
	if err != nil { // a device that does not answer must not hide the others
		out.Unavailable = err.Error()
		return out, nil
	}
	out.Available, out.Driver = true, driverOf(state.Facts)
	out.Knobs = make([]api.Knob, 0, len(options))
	for _, o := range options {
		i := slices.IndexFunc(state.Knobs, func(s mechanisms.KnobState) bool { return s.Knob == o.Name })
		if i >= 0 {
			out.Knobs = append(out.Knobs, knob(o, state.Knobs[i]))
		}
	}
	for _, s := range state.Knobs {
		if s.Since.After(out.LastChangeAt) {
			out.LastChangeAt = s.Since
		}
	}
	return out, nil
}

func (k *knobs) lack(name string, err error) (api.Mechanism, error) {
	for _, m := range k.lacking {
		if m.Name == name {
			return m, nil
		}
	}
	return api.Mechanism{}, &Error{
		Code: "mechanism.not-found", What: "find mechanism " + name, Why: "this program has none of that name",
		Hint: "see `edgehold mechanism list`", Err: err,
	}
}

// driverOf names the kernel driver behind a mechanism: drivers report it once, or for each part of the hardware.
func driverOf(facts map[string]string) string {
	var names []string
	for key, name := range facts {
		if name != "" && (key == "driver" || strings.HasSuffix(key, "/driver")) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func describe(d mechanisms.Description) api.Mechanism {
	out := api.Mechanism{Name: d.Name, Version: d.Version, Layer: d.Layer, Summary: d.Summary, Privileges: d.Privileges, Knobs: []api.Knob{}}
	for _, v := range d.Verbs {
		out.Verbs = append(out.Verbs, string(v))
	}
	return out
}

func knob(o mechanisms.Knob, s mechanisms.KnobState) api.Knob {
	out := api.Knob{
		Name: o.Name, Kind: api.KnobKind(o.Kind), Unit: o.Unit, Step: o.Step, Table: o.Table, Choices: o.Choices,
		ReadOnly: o.ReadOnly, Summary: o.Summary, Error: s.Problem,
	}
	if o.Kind == mechanisms.KindNumber {
		out.Min, out.Max = &o.Min, &o.Max
	}
	if s.Problem == "" {
		out.Current = value(s.Value)
	}
	if s.Baseline != nil {
		out.Baseline = value(*s.Baseline)
	}
	if s.Wanted == nil {
		return out
	}
	out.Lease = &api.Lease{
		ID: string(s.Lease), Holder: s.Owner, Value: value(*s.Wanted), Priority: s.Priority, ExpiresAt: s.Expires, DecisionID: s.Plan,
	}
	if s.Drifted {
		out.Drift = &api.Drift{Expected: value(*s.Wanted), Found: value(s.Value), SeenAt: time.Now()}
	}
	return out
}

func value(v mechanisms.Value) api.Value {
	if v.IsChoice() {
		return api.ChoiceValue(v.Choice)
	}
	return api.NumberValue(v.Number)
}

// Apply implements apiserver.MechanismActor.
func (k *knobs) Apply(ctx context.Context, name string, c api.MechanismCommand, by api.Actor) (api.MechanismResult, error) {
	m, err := k.supervisor.Mechanism(name)
	if err != nil {
		_, err := k.lack(name, err)
		return api.MechanismResult{}, err
	}
	command, err := k.command(ctx, m, c, by)
	if err != nil {
		return api.MechanismResult{}, err
	}
	if c.DryRun {
		result, err := m.Simulate(ctx, command)
		return mechanismResult(name, result, true), err
	}
	result, err := m.Apply(ctx, command)
	k.audit(ctx, by, "mechanism.apply", name+": "+summary(result.Changes), err)
	return mechanismResult(name, result, false), err
}

func (k *knobs) command(ctx context.Context, m *mechanisms.Supervised, c api.MechanismCommand, by api.Actor) (mechanisms.Command, error) {
	out := mechanisms.Command{Mechanism: m.Describe().Name, Verb: mechanisms.Verb(c.Verb)}
	if c.Verb == "" {
		out.Verb = mechanisms.Set
	}
	if c.D33 != nil {
		parsed, err := parseD33(m, c.D33)
		if err != nil {
			return out, err
		}
		out = parsed
	}
	options, err := m.Options(ctx)
	if err != nil {
		return out, err
	}
	for _, s := range c.Settings {
		setting, err := setting(s, options, out.Verb)
		if err != nil {
			return out, err
		}
		out.Settings = append(out.Settings, setting)
	}
	out.Owner = by.String()
	out.Priority = c.Priority
	if out.Priority == 0 {
		out.Priority = personPriority
	}
	out.Lease = time.Duration(c.LeaseMS) * time.Millisecond
	return out, nil
}

func parseD33(m *mechanisms.Supervised, dict map[string]any) (mechanisms.Command, error) {
	if d, ok := m.Dictionary(); ok {
		return d.ParseD33(dict)
	}
	return mechanisms.Command{}, &Error{
		Code: "mechanism.no-d33", What: "read the dictionary for " + m.Describe().Name, Why: "D3.3 defines none for it", Hint: "use settings",
	}
}

func setting(s api.Setting, options []mechanisms.Knob, verb mechanisms.Verb) (mechanisms.Setting, error) {
	out := mechanisms.Setting{Knob: s.Knob}
	if verb == mechanisms.Reset {
		return out, nil
	}
	if s.Value.IsZero() {
		return out, &Error{Code: "mechanism.no-value", What: "set " + s.Knob, Why: "no value is given", Hint: "write knob=value"}
	}
	if s.Value.Number == nil {
		out.Value = mechanisms.Choice(s.Value.Choice)
		return out, nil
	}
	i := slices.IndexFunc(options, func(o mechanisms.Knob) bool { return o.Name == s.Knob || loop.Matches([]string{s.Knob}, o.Name) })
	if i >= 0 && !sameUnit(options[i].Unit, s.Unit) {
		return out, &Error{
			Code: "mechanism.unit", What: "set " + s.Knob, Why: fmt.Sprintf("its unit is %q, the command says %q", options[i].Unit, s.Unit),
			Hint: "write the number with its unit, like 1.8GHz",
		}
	}
	out.Value = mechanisms.Number(*s.Value.Number)
	return out, nil
}

// sameUnit compares units. What has no dimension has the unit 1, which nobody writes after a number.
func sameUnit(a, b string) bool {
	return a == b || (a == "" || a == "1") && (b == "" || b == "1")
}

// Revert implements apiserver.MechanismActor.
func (k *knobs) Revert(ctx context.Context, name string, names []string, by api.Actor) (api.MechanismResult, error) {
	m, err := k.supervisor.Mechanism(name)
	if err != nil {
		_, err := k.lack(name, err)
		return api.MechanismResult{}, err
	}
	result, err := k.revert(ctx, m, names)
	k.audit(ctx, by, "mechanism.revert", name+": "+summary(result.Changes), err)
	return mechanismResult(name, result, false), err
}

// revert ends every lease that holds one of the knobs, whoever has it.
func (k *knobs) revert(ctx context.Context, m *mechanisms.Supervised, names []string) (mechanisms.Result, error) {
	total := mechanisms.Result{Outcome: mechanisms.Unchanged}
	var errs []error
	for _, l := range k.supervisor.Leases() {
		if l.Mechanism != m.Describe().Name || !holdsAny(l, names) {
			continue
		}
		result, err := m.Revert(ctx, l.ID)
		errs = append(errs, err)
		total.Changes = append(total.Changes, result.Changes...)
		total.Outcome = result.Outcome
	}
	return total, errors.Join(errs...)
}

func holdsAny(l mechanisms.Lease, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(l.Holds, func(h mechanisms.Hold) bool { return loop.Matches(names, h.Knob) })
}

func mechanismResult(name string, r mechanisms.Result, dry bool) api.MechanismResult {
	out := api.MechanismResult{
		Mechanism: name, Outcome: api.Outcome(r.Outcome), DryRun: dry, LeaseID: string(r.Lease), ExpiresAt: r.Expires, Changes: []api.KnobChange{},
	}
	for _, c := range r.Changes {
		out.Changes = append(out.Changes, api.KnobChange{
			Knob: c.Knob, Unit: c.Unit, Old: value(c.Old), Requested: value(c.Requested), Effective: value(c.Effective), Reason: c.Reason,
		})
	}
	return out
}

// summary is the changes in one line, for the audit and for events.
func summary(changes []mechanisms.Change) string {
	parts := make([]string, 0, len(changes))
	for _, c := range changes {
		parts = append(parts, fmt.Sprintf("%s %s -> %s %s", c.Knob, c.Old, c.Effective, c.Unit))
	}
	return strings.TrimSpace(strings.Join(parts, ", "))
}
