// Package drivertest checks that a mechanism driver keeps the contract of [mechanisms.Driver]. It is for the tests of
// whoever writes a driver, in this repository or elsewhere; it is not a test of what the driver's knobs do.
package drivertest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/mechanisms"
)

// Run checks a driver against a device that it may write to: a recorded tree, a fake, or hardware that can spare it.
// Every knob is written once, with the value that it has already.
func Run(t *testing.T, d mechanisms.Driver) {
	t.Run("description", func(t *testing.T) { description(t, d.Describe()) })
	knobs, err := d.Knobs(t.Context())
	if err != nil {
		t.Fatalf("list knobs: %v", err)
	}
	t.Run("knobs", func(t *testing.T) { wellFormed(t, knobs) })
	t.Run("write back", func(t *testing.T) { writeBack(t, d, knobs) })
	t.Run("unknown knob", func(t *testing.T) { unknown(t, d) })
	t.Run("order", func(t *testing.T) { order(t, d, knobs) })
	t.Run("supervised", func(t *testing.T) { supervised(t, d) })
}

func description(t *testing.T, desc mechanisms.Description) {
	if desc.Name == "" || desc.Version == "" || desc.Summary == "" {
		t.Errorf("name, version and summary are needed: %+v", desc)
	}
	if !slices.Contains([]string{"node", "cluster", "continuum"}, desc.Layer) {
		t.Errorf("layer %q is none of node, cluster, continuum", desc.Layer)
	}
	if !slices.Contains(desc.Verbs, mechanisms.Set) || !slices.Contains(desc.Verbs, mechanisms.Reset) {
		t.Errorf("verbs %v lack set or reset", desc.Verbs)
	}
}

func wellFormed(t *testing.T, knobs []mechanisms.Knob) {
	if len(knobs) == 0 {
		t.Error("there are none: opening the driver should have failed")
	}
	names := map[string]bool{}
	for _, k := range knobs {
		if names[k.Name] || k.Name == "" || strings.ContainsAny(k.Name, `*?[\ `) {
			t.Errorf("%q is empty, there twice, or looks like a pattern", k.Name)
		}
		names[k.Name] = true
		if k.Unavailable == "" {
			positions(t, k)
		}
	}
	for _, k := range knobs {
		for _, other := range k.Affects {
			if !names[other] || other == k.Name {
				t.Errorf("%s affects %q, which is itself or no knob", k.Name, other)
			}
		}
	}
}

func positions(t *testing.T, k mechanisms.Knob) {
	switch k.Kind {
	case mechanisms.KindChoice:
		if !k.ReadOnly && len(k.Choices) == 0 {
			t.Errorf("%s has no choices", k.Name)
		}
	case mechanisms.KindNumber:
		if k.Min > k.Max || !slices.IsSorted(k.Table) || k.Step < 0 {
			t.Errorf("%s: range %v to %v in steps of %v, table %v", k.Name, k.Min, k.Max, k.Step, k.Table)
		}
	default:
		t.Errorf("%s is of no known kind: %q", k.Name, k.Kind)
	}
	if k.Driver == "" {
		t.Errorf("%s does not say what serves it", k.Name)
	}
}

// writeBack holds a driver to its promise that what it has read can be written.
func writeBack(t *testing.T, d mechanisms.Driver, knobs []mechanisms.Knob) {
	for _, k := range knobs {
		v, err := d.Read(t.Context(), k.Name)
		switch {
		case k.Unavailable != "":
			if !errors.Is(err, mechanisms.ErrUnavailable) {
				t.Errorf("%s is unavailable, and reading it says %v", k.Name, err)
			}
			continue
		case err != nil:
			t.Errorf("read %s: %v", k.Name, err)
			continue
		case k.ReadOnly:
			continue
		}
		if err := d.Write(t.Context(), k.Name, v); err != nil {
			t.Errorf("write %s back to %s: %v", v, k.Name, err)
		}
		if again, err := d.Read(t.Context(), k.Name); err != nil || again != v {
			t.Errorf("%s was %s, written back it is %s, %v", k.Name, v, again, err)
		}
	}
}

func unknown(t *testing.T, d mechanisms.Driver) {
	const name = "no such knob"
	if v, err := d.Read(t.Context(), name); err == nil {
		t.Errorf("it reads %s", v)
	}
	if err := d.Write(t.Context(), name, mechanisms.Number(1)); err == nil {
		t.Error("it can be written")
	}
}

// order must neither lose nor invent settings, even when nothing is known of the present.
func order(t *testing.T, d mechanisms.Driver, knobs []mechanisms.Knob) {
	var settings []mechanisms.Setting
	now := map[string]mechanisms.Value{}
	for _, k := range knobs {
		if v, err := d.Read(t.Context(), k.Name); err == nil && !k.ReadOnly {
			settings = append(settings, mechanisms.Setting{Knob: k.Name, Value: v})
			now[k.Name] = v
		}
	}
	given := slices.Clone(settings)
	for _, known := range []map[string]mechanisms.Value{now, nil} {
		got := d.Order(known, settings)
		if !slices.Equal(settings, given) {
			t.Fatal("the settings that were passed in have been changed")
		}
		if !slices.Equal(sorted(got), sorted(given)) {
			t.Errorf("got %v of %v", got, given)
		}
	}
}

func sorted(s []mechanisms.Setting) []mechanisms.Setting {
	s = slices.Clone(s)
	slices.SortFunc(s, func(a, b mechanisms.Setting) int { return strings.Compare(a.Knob, b.Knob) })
	return s
}

// supervised holds every knob where it is, and lets go.
func supervised(t *testing.T, d mechanisms.Driver) {
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: t.TempDir(), BootID: "drivertest"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.WithoutCancel(t.Context()))
	if err := s.Register(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if _, err := s.State(t.Context(), d.Describe().Name); err != nil {
		t.Errorf("state: %v", err)
	}
	if r := s.RevertAll(t.Context(), "drivertest"); r.Outcome != mechanisms.Unchanged {
		t.Errorf("with nothing done, revert says %+v", r)
	}
}
