package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/wasmabi"
)

// wider lists what b may do and a may not. Patterns are compared as texts: one that says the same in other words counts as
// wider, so that a person looks at it.
func wider(a, b *wasmabi.Manifest) []string {
	all := []string{}
	for _, m := range b.Mechanisms {
		i := slices.IndexFunc(a.Mechanisms, func(o wasmabi.MechanismRequest) bool { return o.Name == m.Name })
		if i < 0 {
			all = append(all, fmt.Sprintf("mechanism %s: %s %s%s", m.Name, list(m.Verbs), knobs(m.Knobs), because(m.Reason)))
			continue
		}
		all = append(all, widerMechanism(a.Mechanisms[i], m)...)
	}
	for _, c := range b.Capabilities {
		i := slices.IndexFunc(a.Capabilities, func(o wasmabi.CapabilityRequest) bool { return o.Name == c.Name && o.Kind == c.Kind })
		if i < 0 {
			all = append(all, fmt.Sprintf("%s %s: %s%s", c.Kind, c.Name, list(slices.Concat(c.Methods, c.Hosts, c.Paths)), because(c.Reason)))
			continue
		}
		all = append(all, widerCapability(a.Capabilities[i], c)...)
	}
	for _, m := range b.Metrics {
		if !slices.ContainsFunc(a.Metrics, func(o wasmabi.MetricRequest) bool { return o.Name == m.Name && o.Query == m.Query }) {
			all = append(all, "observes "+m.Name)
		}
	}
	return append(all, widerLimits(a.Limits, b.Limits)...)
}

func knobs(patterns []string) string {
	if len(patterns) == 0 {
		return "every knob"
	}
	return list(patterns)
}

func widerMechanism(a, b wasmabi.MechanismRequest) (all []string) {
	if more := lacking(a.Verbs, b.Verbs); len(more) > 0 {
		all = append(all, fmt.Sprintf("mechanism %s: also %s", b.Name, list(more)))
	}
	switch more := lacking(a.Knobs, b.Knobs); {
	case len(b.Knobs) == 0 && len(a.Knobs) > 0:
		all = append(all, fmt.Sprintf("mechanism %s: every knob, and not only %s", b.Name, list(a.Knobs)))
	case len(more) > 0 && len(a.Knobs) > 0:
		all = append(all, fmt.Sprintf("mechanism %s: also the knobs %s", b.Name, list(more)))
	}
	return all
}

func widerCapability(a, b wasmabi.CapabilityRequest) (all []string) {
	more := slices.Concat(lacking(a.Methods, b.Methods), lacking(a.Hosts, b.Hosts), lacking(a.Paths, b.Paths))
	if b.Write && !a.Write {
		more = append(more, "to write")
	}
	if limit := capabilityBytes(b); limit > capabilityBytes(a) {
		more = append(more, "up to "+api.FormatBytes(int64(limit)))
	}
	if len(more) > 0 {
		all = append(all, fmt.Sprintf("%s %s: also %s", b.Kind, b.Name, strings.Join(more, ", ")))
	}
	return all
}

func capabilityBytes(c wasmabi.CapabilityRequest) uint64 {
	if c.Bytes == 0 {
		return wasmabi.DefaultCapabilityBytes
	}
	return c.Bytes
}

func widerLimits(a, b wasmabi.Limits) (all []string) {
	for _, l := range []struct {
		name          string
		before, after uint64
	}{{"fuel", a.Fuel, b.Fuel}, {"deadline in ms", uint64(a.DeadlineMS), uint64(b.DeadlineMS)}, {"memory in bytes", a.MemoryBytes, b.MemoryBytes}} {
		if l.before != 0 && (l.after > l.before || l.after == 0) || l.before == 0 && l.after != 0 {
			all = append(all, fmt.Sprintf("%s: %s -> %s", l.name, defaultOr(l.before), defaultOr(l.after)))
		}
	}
	return all
}

func defaultOr(n uint64) string {
	if n == 0 {
		return "the node's default"
	}
	return fmt.Sprint(n)
}

// lacking is what after has and before has not.
func lacking(before, after []string) (more []string) {
	for _, s := range after {
		if !slices.Contains(before, s) {
			more = append(more, s)
		}
	}
	return more
}
