package apiservertest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

const mechanismName = "CPUFrequency"

func newKnobs() []api.Knob {
	lowest, highest := 0.8e9, 2.4e9
	return []api.Knob{
		{Name: "policy0/max_frequency", Kind: api.KnobNumber, Unit: "Hz", Min: &lowest, Max: &highest,
			Table: []float64{0.8e9, 1.2e9, 1.8e9, 2.4e9}, Current: api.NumberValue(2.4e9), Baseline: api.NumberValue(2.4e9)},
		{Name: "policy0/governor", Kind: api.KnobChoice, Choices: []string{"performance", "powersave", "schedutil"},
			Current: api.ChoiceValue("schedutil"), Baseline: api.ChoiceValue("schedutil")},
	}
}

type mechanisms struct{ *Agent }

func (a mechanisms) List(context.Context) ([]api.Mechanism, error) {
	defer a.enter("mechanisms.List")()
	return []api.Mechanism{a.shown(), {Name: "PowerCap", Version: "1", Layer: "node", Summary: "Bounds the power of packages.",
		Verbs: []string{"set", "reset"}, Unavailable: "this machine has no powercap zones"}}, nil
}

func (a mechanisms) Get(_ context.Context, name string) (api.Mechanism, error) {
	defer a.enter("mechanisms.Get")()
	if name != mechanismName {
		return api.Mechanism{}, notFound("mechanism", "get", name)
	}
	return a.shown(), nil
}

func (a mechanisms) shown() api.Mechanism {
	return api.Mechanism{Name: mechanismName, Version: "1", Layer: "node", Summary: "Sets CPU frequency limits and governors.",
		Verbs: []string{"set", "reset"}, Available: true, Driver: "acpi-cpufreq", Knobs: slices.Clone(a.knobs)}
}

func (a mechanisms) Apply(_ context.Context, name string, c api.MechanismCommand, by api.Actor) (api.MechanismResult, error) {
	defer a.enter("mechanisms.Apply")()
	result, err := a.apply(name, c, by)
	a.record(by, "mechanism.apply", name, string(result.Outcome), err)
	return result, err
}

func (a mechanisms) apply(name string, c api.MechanismCommand, by api.Actor) (api.MechanismResult, error) {
	if name != mechanismName {
		return api.MechanismResult{}, notFound("mechanism", "apply", name)
	}
	if c.D33 != nil {
		var err error
		if c, err = fromD33(c); err != nil {
			return api.MechanismResult{}, err
		}
	}
	if c.Verb == api.VerbReset {
		return a.revert(nil), nil
	}
	result := api.MechanismResult{Mechanism: name, Outcome: api.OutcomeApplied, DryRun: c.DryRun, LeaseID: "lease-1", ExpiresAt: a.Now().Add(lease(c))}
	for _, setting := range c.Settings {
		change, err := a.check(setting)
		if err != nil {
			return api.MechanismResult{}, err
		}
		if !change.Effective.Equal(change.Requested) {
			result.Outcome = api.OutcomeClamped
		}
		result.Changes = append(result.Changes, change)
	}
	if !c.DryRun {
		a.hold(result, by)
	}
	return result, nil
}

func lease(c api.MechanismCommand) time.Duration {
	if c.LeaseMS > 0 {
		return time.Duration(c.LeaseMS) * time.Millisecond
	}
	return 30 * time.Second
}

// hold sets the knobs of a result.
func (a mechanisms) hold(result api.MechanismResult, by api.Actor) {
	for _, change := range result.Changes {
		knob := &a.knobs[a.indexOf(change.Knob)]
		knob.Current = change.Effective
		knob.Lease = &api.Lease{ID: result.LeaseID, Holder: by.String(), Value: change.Effective, ExpiresAt: result.ExpiresAt}
	}
	a.publish(api.ResourceMechanism, mechanismName, api.EventKnobChanged, "")
}

func (a mechanisms) check(s api.Setting) (api.KnobChange, error) {
	attempt := "set " + s.Knob
	i := a.indexOf(s.Knob)
	if i < 0 {
		return api.KnobChange{}, &Error{attempt, "mechanism.unknown-knob", "CPUFrequency has no such knob", "see edgehold mechanism options CPUFrequency"}
	}
	knob := a.knobs[i]
	change := api.KnobChange{Knob: s.Knob, Unit: knob.Unit, Old: knob.Current, Requested: s.Value, Effective: s.Value}
	if knob.Kind == api.KnobChoice {
		if !slices.Contains(knob.Choices, s.Value.Choice) {
			return change, &Error{attempt, "mechanism.bad-choice", fmt.Sprintf("%q is not one of its choices", s.Value.Choice), fmt.Sprintf("choose one of %v", knob.Choices)}
		}
		return change, nil
	}
	if s.Value.Number == nil || s.Unit != knob.Unit {
		return change, &Error{attempt, "mechanism.bad-unit", "the value is not in " + knob.Unit, "write the unit, as in 1.8GHz"}
	}
	if v := *s.Value.Number; v < *knob.Min || v > *knob.Max {
		return change, &Error{attempt, "mechanism.out-of-range", api.FormatQuantity(v, knob.Unit) + " is not between " +
			api.FormatQuantity(*knob.Min, knob.Unit) + " and " + api.FormatQuantity(*knob.Max, knob.Unit), "see edgehold mechanism options CPUFrequency"}
	}
	nearest := knob.Table[0]
	for _, v := range knob.Table {
		if v <= *s.Value.Number {
			nearest = v
		}
	}
	if change.Effective = api.NumberValue(nearest); nearest != *s.Value.Number {
		change.Reason = "the hardware has no frequency in between"
	}
	return change, nil
}

func (a mechanisms) indexOf(name string) int {
	return slices.IndexFunc(a.knobs, func(k api.Knob) bool { return k.Name == name })
}

func fromD33(c api.MechanismCommand) (api.MechanismCommand, error) {
	text, _ := c.D33["frequency"].(string)
	value, unit, err := api.ParseQuantity(text)
	if err != nil || unit != "Hz" {
		return c, &Error{"apply CPUFrequency", "mechanism.bad-unit", fmt.Sprintf("the frequency %q has no unit", text), "write the unit, as in \"1800 MHz\""}
	}
	c.Verb, c.Settings = api.VerbSet, []api.Setting{{Knob: "policy0/max_frequency", Value: api.NumberValue(value), Unit: unit}}
	return c, nil
}

func (a mechanisms) Revert(_ context.Context, name string, knobs []string, by api.Actor) (api.MechanismResult, error) {
	defer a.enter("mechanisms.Revert")()
	if name != mechanismName {
		return api.MechanismResult{}, notFound("mechanism", "revert", name)
	}
	a.record(by, "mechanism.revert", name, "done", nil)
	return a.revert(knobs), nil
}

func (a mechanisms) revert(knobs []string) api.MechanismResult {
	result := api.MechanismResult{Mechanism: mechanismName, Outcome: api.OutcomeUnchanged, Changes: []api.KnobChange{}}
	for i := range a.knobs {
		knob := &a.knobs[i]
		if len(knobs) > 0 && !slices.Contains(knobs, knob.Name) {
			continue
		}
		if !knob.Current.Equal(knob.Baseline) {
			result.Outcome = api.OutcomeApplied
			result.Changes = append(result.Changes, api.KnobChange{Knob: knob.Name, Unit: knob.Unit, Old: knob.Current, Requested: knob.Baseline, Effective: knob.Baseline})
		}
		knob.Current, knob.Lease = knob.Baseline, nil
	}
	a.publish(api.ResourceMechanism, mechanismName, api.EventKnobReverted, "")
	return result
}
