package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// The tables of list commands. What --output wide adds is marked Wide.

var policyTable = cli.Table[api.Policy]{
	Name: func(p api.Policy) string { return p.Name },
	Columns: []cli.Column[api.Policy]{
		{Title: "NAME", Text: func(p api.Policy) string { return p.Name }},
		{Title: "STATE", Status: true, Text: func(p api.Policy) string { return string(p.State) }},
		{Title: "VERSION", Text: func(p api.Policy) string { return p.ActiveVersion }},
		{Title: "STANDBY", Text: func(p api.Policy) string { return p.StandbyVersion }},
		{Title: "CALLS", Right: true, Text: func(p api.Policy) string { return count(p.Health.Calls) }},
		{Title: "FAILURES", Right: true, Text: func(p api.Policy) string { return count(p.Health.Failures) }},
		{Title: "P99", Wide: true, Right: true, Text: func(p api.Policy) string { return microseconds(p.Health.LatencyP99US) }},
		{Title: "FUEL", Wide: true, Right: true, Text: func(p api.Policy) string { return count(p.Health.FuelMean) }},
		{Title: "ROLLOUT", Wide: true, Text: rolloutCell},
		{Title: "MECHANISMS", Wide: true, Text: func(p api.Policy) string { return granted(p.Grants) }},
		{Title: "TRUST", Wide: true, Text: func(p api.Policy) string { return trustWord(p.Trust) }},
		{Title: "DIGEST", Wide: true, Text: func(p api.Policy) string { return shortDigest(p.Digest) }},
		{Title: "REASON", Wide: true, Text: func(p api.Policy) string { return p.StateReason }},
	},
}

var versionTable = cli.Table[api.PolicyVersion]{
	Name: func(v api.PolicyVersion) string { return v.Version },
	Columns: []cli.Column[api.PolicyVersion]{
		{Title: "VERSION", Text: func(v api.PolicyVersion) string { return v.Version }},
		{Title: "STATE", Status: true, Text: func(v api.PolicyVersion) string { return string(v.State) }},
		{Title: "SIZE", Right: true, Text: func(v api.PolicyVersion) string { return api.FormatBytes(v.SizeBytes) }},
		{Title: "UPLOADED", Text: func(v api.PolicyVersion) string { return timestamp(v.UploadedAt) }},
		{Title: "BY", Text: func(v api.PolicyVersion) string { return v.UploadedBy }},
		{Title: "TRUST", Text: func(v api.PolicyVersion) string { return trustWord(v.Trust) }},
		{Title: "DIGEST", Wide: true, Text: func(v api.PolicyVersion) string { return v.Digest }},
		{Title: "REASON", Wide: true, Text: func(v api.PolicyVersion) string { return v.Reason }},
	},
}

var grantTable = cli.Table[api.Grant]{
	Columns: []cli.Column[api.Grant]{
		{Title: "FOR", Text: grantSubject},
		{Title: "GRANTED", Status: true, Text: func(g api.Grant) string { return yesNo(g.Granted()) }},
		{Title: "ASKED", Text: func(g api.Grant) string { return yesNo(g.Asked) }},
		{Title: "ALLOWED", Text: func(g api.Grant) string { return yesNo(g.Allowed) }},
		{Title: "OFFERED", Text: func(g api.Grant) string { return yesNo(g.Offered) }},
		{Title: "REASON", Text: func(g api.Grant) string { return g.Reason }},
	},
}

var mechanismTable = cli.Table[api.Mechanism]{
	Name: func(m api.Mechanism) string { return m.Name },
	Columns: []cli.Column[api.Mechanism]{
		{Title: "NAME", Text: func(m api.Mechanism) string { return m.Name }},
		{Title: "AVAILABLE", Status: true, Text: func(m api.Mechanism) string { return yesNo(m.Available) }},
		{Title: "DRIVER", Text: mechanismDriver},
		{Title: "KNOBS", Right: true, Text: func(m api.Mechanism) string { return strconv.Itoa(len(m.Knobs)) }},
		{Title: "HELD", Right: true, Text: func(m api.Mechanism) string { return strconv.Itoa(held(m)) }},
		{Title: "DIGEST", Wide: true, Text: mechanismDigest},
		{Title: "SUMMARY", Text: func(m api.Mechanism) string { return cmp.Or(m.Unavailable, m.Summary) }},
	},
}

var optionTable = cli.Table[api.Knob]{
	Name: func(k api.Knob) string { return k.Name },
	Columns: []cli.Column[api.Knob]{
		{Title: "KNOB", Text: func(k api.Knob) string { return k.Name }},
		{Title: "KIND", Text: func(k api.Knob) string { return string(k.Kind) }},
		{Title: "VALUES", Text: knobValues},
		{Title: "SUMMARY", Wide: true, Text: func(k api.Knob) string { return k.Summary }},
	},
}

var stateTable = cli.Table[api.Knob]{
	Name: func(k api.Knob) string { return k.Name },
	Columns: []cli.Column[api.Knob]{
		{Title: "KNOB", Text: func(k api.Knob) string { return k.Name }},
		{Title: "CURRENT", Text: func(k api.Knob) string { return cmp.Or(k.Error, api.FormatValue(k.Current, k.Unit)) }},
		{Title: "BASELINE", Text: func(k api.Knob) string { return api.FormatValue(k.Baseline, k.Unit) }},
		{Title: "HOLDER", Text: func(k api.Knob) string { return holder(k.Lease) }},
		{Title: "UNTIL", Text: func(k api.Knob) string { return until(k.Lease) }},
		{Title: "DRIFT", Text: func(k api.Knob) string { return drift(k) }},
	},
}

var decisionTable = cli.Table[api.DecisionSummary]{
	Name: func(d api.DecisionSummary) string { return d.ID },
	Columns: []cli.Column[api.DecisionSummary]{
		{Title: "ID", Text: func(d api.DecisionSummary) string { return d.ID }},
		{Title: "TIME", Text: func(d api.DecisionSummary) string { return timestamp(d.At) }},
		{Title: "POLICY", Text: func(d api.DecisionSummary) string { return d.Policy }},
		{Title: "VERSION", Wide: true, Text: func(d api.DecisionSummary) string { return d.Version }},
		{Title: "ASSET", Wide: true, Text: func(d api.DecisionSummary) string { return d.Asset }},
		{Title: "TRIGGER", Text: func(d api.DecisionSummary) string { return d.Trigger }},
		{Title: "OUTCOME", Status: true, Text: func(d api.DecisionSummary) string { return string(d.Outcome) }},
		{Title: "TOOK", Right: true, Text: func(d api.DecisionSummary) string { return microseconds(d.DurationUS) }},
		{Title: "WHY", Text: func(d api.DecisionSummary) string { return d.Why + times(d.Repeated) }},
	},
}

var metricTable = cli.Table[api.MetricName]{
	Name: func(m api.MetricName) string { return m.Name },
	Columns: []cli.Column[api.MetricName]{
		{Title: "NAME", Text: func(m api.MetricName) string { return m.Name }},
		{Title: "SERIES", Right: true, Text: func(m api.MetricName) string { return strconv.Itoa(m.Series) }},
		{Title: "UNIT", Text: func(m api.MetricName) string { return m.Unit }},
		{Title: "NEWEST", Wide: true, Text: func(m api.MetricName) string { return timestamp(m.NewestAt) }},
		{Title: "HELP", Wide: true, Text: func(m api.MetricName) string { return m.Help }},
	},
}

var sampleTable = cli.Table[sample]{
	Name: func(s sample) string { return s.series },
	Columns: []cli.Column[sample]{
		{Title: "SERIES", Text: func(s sample) string { return s.series }},
		{Title: "TIME", Text: func(s sample) string { return timestamp(s.at) }},
		{Title: "VALUE", Right: true, Text: func(s sample) string { return number(float64(s.value)) }},
	},
}

var auditTable = cli.Table[api.AuditEntry]{
	Name: func(e api.AuditEntry) string { return strconv.FormatUint(e.Seq, 10) },
	Columns: []cli.Column[api.AuditEntry]{
		{Title: "SEQ", Right: true, Text: func(e api.AuditEntry) string { return count(e.Seq) }},
		{Title: "TIME", Text: func(e api.AuditEntry) string { return timestamp(e.At) }},
		{Title: "ACTOR", Text: func(e api.AuditEntry) string { return e.Actor }},
		{Title: "ACTION", Text: func(e api.AuditEntry) string { return e.Action }},
		{Title: "TARGET", Text: func(e api.AuditEntry) string { return e.Target }},
		{Title: "OUTCOME", Status: true, Text: func(e api.AuditEntry) string { return e.Outcome }},
		{Title: "CODE", Text: func(e api.AuditEntry) string { return e.Code }},
		{Title: "DETAIL", Wide: true, Text: func(e api.AuditEntry) string { return pairs(e.Detail) }},
		{Title: "HASH", Wide: true, Text: func(e api.AuditEntry) string { return e.Hash }},
	},
}

var eventTable = cli.Table[api.Event]{
	Name: func(e api.Event) string { return e.Name },
	Columns: []cli.Column[api.Event]{
		{Title: "TIME", Text: func(e api.Event) string { return timestamp(e.At) }},
		{Title: "KIND", Text: func(e api.Event) string { return e.Kind }},
		{Title: "NAME", Text: func(e api.Event) string { return e.Name }},
		{Title: "MESSAGE", Text: func(e api.Event) string { return e.Message }},
	},
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

func microseconds(us uint64) string {
	return (time.Duration(us) * time.Microsecond).String()
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func list(items []string) string { return strings.Join(items, ", ") }

func times(repeated uint64) string {
	if repeated == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more times)", repeated)
}

func shortDigest(digest string) string {
	const algorithm, shown = len("sha256:"), 12
	return digest[:min(len(digest), algorithm+shown)]
}

func granted(grants []api.Grant) string {
	var names []string
	for _, g := range grants {
		if g.Granted() {
			names = append(names, g.Subject())
		}
	}
	return list(names)
}

// mechanismDriver says what makes a mechanism: a driver of this program, or a module, by name and version.
func mechanismDriver(m api.Mechanism) string {
	if m.Adapter == nil {
		return m.Driver
	}
	driver := "wasm " + m.Adapter.Name + " " + m.Adapter.Version
	if m.Adapter.Engine != "" {
		driver += " on " + m.Adapter.Engine + " (no fuel, no replay)"
	}
	return driver
}

func mechanismDigest(m api.Mechanism) string {
	if m.Adapter == nil {
		return ""
	}
	return shortDigest(m.Adapter.Digest)
}

// grantSubject is what a grant is for; of a capability, how far it reaches too.
func grantSubject(g api.Grant) string {
	if g.Capability == nil {
		return g.Mechanism
	}
	return g.Subject() + ": " + capabilityReach(*g.Capability)
}

func capabilityReach(c api.ManifestCapability) string {
	parts := slices.Concat(c.Methods, c.Hosts, c.Paths)
	if c.Write {
		parts = append(parts, "to write")
	}
	return strings.Join(append(parts, "up to "+api.FormatBytes(int64(c.Bytes))), " ")
}

func held(m api.Mechanism) (n int) {
	for _, k := range m.Knobs {
		if k.Lease != nil {
			n++
		}
	}
	return n
}

// knobValues says in a few words what a knob may be set to.
func knobValues(k api.Knob) string {
	switch {
	case k.Kind == api.KnobChoice:
		return list(k.Choices)
	case len(k.Table) > 0:
		texts := make([]string, len(k.Table))
		for i, v := range k.Table {
			texts[i] = api.FormatQuantity(v, k.Unit)
		}
		return list(texts)
	case k.Min != nil && k.Max != nil:
		text := api.FormatQuantity(*k.Min, k.Unit) + " to " + api.FormatQuantity(*k.Max, k.Unit)
		if k.Step > 0 {
			text += " in steps of " + api.FormatQuantity(k.Step, k.Unit)
		}
		return text
	}
	return "any " + k.Unit
}

func holder(l *api.Lease) string {
	if l == nil {
		return ""
	}
	return l.Holder
}

func until(l *api.Lease) string {
	if l == nil {
		return ""
	}
	return timestamp(l.ExpiresAt)
}

func drift(k api.Knob) string {
	if k.Drift == nil {
		return ""
	}
	return "found " + api.FormatValue(k.Drift.Found, k.Unit)
}

func pairs(m map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		all = append(all, key+"="+m[key])
	}
	return list(all)
}
