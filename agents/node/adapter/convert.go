package adapter

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

// What a module says is a stranger's word: what does not make sense as a knob is an error, and never reaches the supervisor.

// knobs checks and converts the knobs of an adapter.
func knobs(adapter string, all []wasmabi.KnobOption) ([]mechanisms.Knob, error) {
	out := make([]mechanisms.Knob, 0, len(all))
	seen := map[string]bool{}
	for i := range all {
		k, err := knob(adapter, &all[i])
		if err != nil {
			return nil, fmt.Errorf("knob %d: %w", i, err)
		}
		if seen[k.Name] {
			return nil, fmt.Errorf("knob %q is there twice", k.Name)
		}
		seen[k.Name] = true
		out = append(out, k)
	}
	for _, k := range out {
		for _, other := range k.Affects {
			if !seen[other] || other == k.Name {
				return nil, fmt.Errorf("knob %q affects %q, which is itself or no knob", k.Name, other)
			}
		}
	}
	return out, nil
}

func knob(adapter string, o *wasmabi.KnobOption) (mechanisms.Knob, error) {
	k := mechanisms.Knob{
		Name: o.Name, Summary: o.Summary, Unit: o.Unit, Driver: "adapter " + adapter, Conflict: o.Conflict, Affects: o.Affects,
		ReadOnly: o.ReadOnly, Unavailable: o.Unavailable,
	}
	if o.Driver != "" {
		k.Driver += ": " + o.Driver
	}
	if o.Name == "" || strings.ContainsAny(o.Name, "*?[\\ ") || strings.ContainsFunc(o.Name, unprintable) {
		return k, fmt.Errorf("%q is no name for one", o.Name)
	}
	switch o.Kind {
	case wasmabi.KnobChoice:
		k.Kind, k.Choices = mechanisms.KindChoice, o.Choices
		if len(o.Choices) == 0 && !o.ReadOnly && o.Unavailable == "" || slices.Contains(o.Choices, "") {
			return k, fmt.Errorf("%s has no choices, or an empty one", o.Name)
		}
		return k, nil
	case wasmabi.KnobNumber:
		k.Kind, k.Min, k.Max, k.Table = mechanisms.KindNumber, o.Min, o.Max, o.Table
		if o.Step == o.Step {
			k.Step = o.Step
		}
		return k, checkNumber(&k)
	}
	return k, fmt.Errorf("%s is of no known kind: %q", o.Name, o.Kind)
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f }

func checkNumber(k *mechanisms.Knob) error {
	if k.Unavailable != "" && math.IsNaN(k.Min) && math.IsNaN(k.Max) {
		k.Min, k.Max = 0, 0
	}
	finite := func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }
	switch {
	case !finite(k.Min) || !finite(k.Max) || k.Min > k.Max:
		return fmt.Errorf("%s has no range", k.Name)
	case !finite(k.Step) || k.Step < 0:
		return fmt.Errorf("%s has a step of %v", k.Name, k.Step)
	case !slices.IsSorted(k.Table) || slices.ContainsFunc(k.Table, func(f float64) bool { return !finite(f) }):
		return fmt.Errorf("%s has a table that is not ascending", k.Name)
	}
	return nil
}

// value converts a reading.
func value(r *wasmabi.KnobReading) (mechanisms.Value, error) {
	switch {
	case r.Problem != "" && r.Away:
		return mechanisms.Value{}, fmt.Errorf("%s: %w", r.Problem, mechanisms.ErrUnavailable)
	case r.Problem != "":
		return mechanisms.Value{}, errors.New(r.Problem)
	case r.Choice != "":
		return mechanisms.Choice(r.Choice), nil
	case math.IsNaN(r.Number) || math.IsInf(r.Number, 0):
		return mechanisms.Value{}, fmt.Errorf("the adapter reads %v", r.Number)
	}
	return mechanisms.Number(r.Number), nil
}

func settings(all []mechanisms.Setting) []byte {
	var m wasmabi.Settings
	for _, s := range all {
		k := wasmabi.KnobSetting{Knob: s.Knob, Number: s.Value.Number, Choice: s.Value.Choice}
		if s.Value.IsChoice() {
			k.Number = math.NaN()
		}
		m.Settings = append(m.Settings, k)
	}
	return wasmabi.AppendSettings(nil, &m)
}

// unavailable marks an error that may pass: the module said so, or time was up, which is what a device that hangs looks like.
func unavailable(err error) error {
	e, ok := errors.AsType[*host.CallError](err)
	if ok && (e.Retryable || e.Kind == host.Deadline) {
		return fmt.Errorf("%w: %w", err, mechanisms.ErrUnavailable)
	}
	return err
}

func isUnsupported(err error) bool {
	e, ok := errors.AsType[*host.CallError](err)
	return ok && e.Kind == host.Unsupported
}
