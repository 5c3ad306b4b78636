package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/wasmabi"
)

const abi = wasmabi.Version

func hintOf(err error) string {
	if hinted, ok := err.(interface{ ErrorHint() string }); ok {
		return hinted.ErrorHint()
	}
	return ""
}

func describeUpload(d *cli.Details, r api.UploadResult) {
	verb := "decides"
	if r.Manifest.Kind == wasmabi.KindAdapter {
		verb = "serves"
	}
	switch {
	case r.DryRun:
		d.Text("%s %s would be accepted; nothing was stored.", r.Name, r.Version)
	case r.Unchanged:
		d.Text("%s %s %s already; nothing changed.", r.Name, r.Version, verb)
	case r.Activated && r.Replaced != "":
		d.Text("%s %s %s now. %s is the standby: edgehold policy rollback %s", r.Name, r.Version, verb, r.Replaced, r.Name)
	case r.Activated:
		d.Text("%s %s %s now.", r.Name, r.Version, verb)
	case r.Rollout != nil:
		d.Text("%s Follow it: edgehold policy rollout get %s --watch", headline(*r.Rollout), r.Name)
	default:
		d.Text("%s %s is stored and does not decide%s.", r.Name, r.Version, because(r.Reason))
	}
	if r.Trust != nil {
		d.Text("It is %s.", trustLine(r.Trust))
	}
	for _, g := range r.Grants {
		if !g.Granted() {
			d.Text("%s was not granted: %s.", g.Subject(), whyNot(g))
		}
	}
	for _, w := range r.Warnings {
		d.Text("note: %s", w)
	}
}

func whyNot(g api.Grant) string {
	switch {
	case !g.Allowed:
		return "the operator does not allow it"
	case !g.Offered:
		if g.Capability != nil {
			return "this node does not offer it"
		}
		return "this node does not have it"
	}
	return "the module does not ask for it"
}

func describePolicy(d *cli.Details, p api.Policy) {
	d.Field("Name", p.Name)
	d.Fieldf("State", "%s%s", p.State, because(p.StateReason))
	d.Field("Version", p.ActiveVersion)
	d.Field("Standby", p.StandbyVersion)
	d.Field("Active since", timestamp(p.ActivatedAt))
	d.Field("Digest", p.Digest)
	d.Field("Trust", trustLine(p.Trust))
	if p.Manifest.Door == wasmabi.DoorExtismSDK {
		d.Field("Engine", engine(p.Manifest.Door))
	}
	if r := p.Rollout; r != nil {
		d.Fieldf("Rollout", "%s: edgehold policy rollout get %s", rolloutCell(p), p.Name)
	}
	d.Field("Description", p.Manifest.Description)
	d.Heading("Observes")
	describeMetrics(d, p.Manifest)
	d.Heading("Grants")
	if len(p.Grants) == 0 {
		d.Line("It asks for none.")
	} else {
		cli.Rows(d, grantTable, p.Grants)
	}
	d.Heading("Health")
	describeHealth(d, p.Health)
	if r := p.Rollout; r != nil && r.Health != nil {
		d.Heading("Health of " + r.Other)
		describeHealth(d, *r.Health)
	}
	if len(p.Versions) > 0 {
		d.Heading("Versions")
		cli.Rows(d, versionTable, p.Versions)
	}
}

func describeHealth(d *cli.Details, h api.PolicyHealth) {
	d.Line("%d calls, %d failures, %d plans", h.Calls, h.Failures, h.Plans)
	d.Line("fuel: %d on average%s", h.FuelMean, atMost(h.FuelMax))
	d.Line("latency: %s at the median, %s at p99", microseconds(h.LatencyP50US), microseconds(h.LatencyP99US))
	if h.LastError != "" {
		d.Line("last failure: %s %s (%s)", timestamp(h.LastErrorAt), h.LastError, h.LastErrorCode)
	}
}

// atMost is left out where it was not measured.
func atMost(n uint64) string {
	if n == 0 {
		return ""
	}
	return ", " + count(n) + " at most"
}

func describeMetrics(d *cli.Details, m api.ManifestSummary) {
	if len(m.Metrics) == 0 {
		d.Line("It observes nothing.")
	}
	for _, metric := range m.Metrics {
		line := cmp.Or(metric.Query, metric.Name)
		if len(metric.Labels) > 0 {
			line = seriesName(withName(metric))
		}
		if metric.Reduce != "" {
			line = metric.Reduce + " of " + line
		}
		if metric.Unit != "" {
			line += " in " + metric.Unit
		}
		if metric.Required {
			line += ", required"
		}
		d.Line("%s", line)
	}
	for _, w := range m.Wake {
		d.Line("woken when %s is %s", w.Metric, boundsText(w))
	}
}

func withName(m api.ManifestMetric) map[string]string {
	all := map[string]string{"__name__": m.Name}
	for key, value := range m.Labels {
		all[key] = value
	}
	return all
}

func boundsText(w api.ManifestWake) string {
	var parts []string
	if w.Above != nil {
		parts = append(parts, "above "+number(*w.Above))
	}
	if w.Below != nil {
		parts = append(parts, "below "+number(*w.Below))
	}
	return strings.Join(parts, " or ")
}

// door says what a module was built for.
func door(m *api.ManifestSummary) string {
	switch m.Door {
	case wasmabi.DoorExtism:
		return "an Extism plugin"
	case wasmabi.DoorExtismSDK:
		return "an Extism plugin on the fallback engine go-sdk (door " + m.Door + "): no fuel, no replay"
	}
	return fmt.Sprintf("ABI %d", m.ABI)
}

// engine says what would run a module.
func engine(doorName string) string {
	if doorName == wasmabi.DoorExtismSDK {
		return "go-sdk, the fallback, in a process of its own: no fuel, no replay (door " + doorName + ")"
	}
	if doorName == wasmabi.DoorNative {
		return "edgehold"
	}
	return "edgehold (door " + doorName + ")"
}

func describeManifest(d *cli.Details, m api.ManifestSummary) {
	d.Field("Name", m.Name)
	d.Field("Version", m.Version)
	d.Fieldf("Kind", "%s for a %s, scope %s, %s", m.Kind, m.Layer, m.Scope, door(&m))
	if m.Provides != nil {
		d.Field("Provides", "mechanism "+m.Provides.Mechanism)
	}
	d.Field("Description", m.Description)
	if m.AnalyzeIntervalMS > 0 {
		d.Fieldf("Interval", "%d ms", m.AnalyzeIntervalMS)
	}
	d.Field("Uses ML", yesNo(m.UsesML))
	d.Fieldf("Golden vectors", "%d", m.Vectors)
	d.Heading("Observes")
	describeMetrics(d, m)
	d.Heading("Asks for")
	if len(m.Mechanisms)+len(m.Capabilities) == 0 {
		d.Line("It asks for no mechanism.")
	}
	for _, c := range m.Capabilities {
		d.Line("%s %s: %s%s", c.Kind, c.Name, capabilityReach(c), because(c.Reason))
	}
	for _, mechanism := range m.Mechanisms {
		knobs := "every knob"
		if len(mechanism.Knobs) > 0 {
			knobs = list(mechanism.Knobs)
		}
		d.Line("%s: %s %s%s", mechanism.Name, list(mechanism.Verbs), knobs, because(mechanism.Reason))
	}
	if len(m.Parameters) > 0 {
		d.Heading("Parameters")
	}
	for _, p := range m.Parameters {
		d.Line("%s = %s%s", p.Name, strings.TrimSpace(number(p.Default)+" "+p.Unit), because(p.Description))
	}
}

func describeMechanism(d *cli.Details, m api.Mechanism) {
	d.Field("Name", m.Name)
	d.Field("Summary", m.Summary)
	if m.Adapter != nil {
		d.Fieldf("Adapter", "%s %s, %s", m.Adapter.Name, m.Adapter.Version, m.Adapter.Digest)
		d.Field("Warning", m.Adapter.Warning)
	}
	d.Field("Driver", m.Driver)
	d.Fieldf("Available", "%s%s", yesNo(m.Available), because(m.Unavailable))
	d.Field("Verbs", list(m.Verbs))
	d.Field("Needs", list(m.Privileges))
	if len(m.Knobs) > 0 {
		d.Heading("State")
		cli.Rows(d, stateTable, m.Knobs)
		d.Heading("Options")
		cli.Rows(d, optionTable, m.Knobs)
	}
}

func describeResult(d *cli.Details, r api.MechanismResult) {
	head := fmt.Sprintf("%s: %s", r.Mechanism, r.Outcome)
	if r.DryRun {
		head += ", had it been done"
	}
	if !r.ExpiresAt.IsZero() {
		head += ", until " + timestamp(r.ExpiresAt)
	}
	d.Text("%s", head)
	for _, change := range r.Changes {
		d.Line("%s", changeText(change))
	}
}

func changeText(c api.KnobChange) string {
	text := fmt.Sprintf("%s: %s -> %s", c.Knob, api.FormatValue(c.Old, c.Unit), api.FormatValue(c.Effective, c.Unit))
	if !c.Requested.IsZero() && !c.Effective.Equal(c.Requested) {
		text += " (asked for " + api.FormatValue(c.Requested, c.Unit) + because(c.Reason) + ")"
	}
	return text
}

func describeReport(d *cli.Details, r api.DoctorReport) {
	for _, check := range r.Checks {
		d.Fieldf(fmt.Sprintf("%-5s%s", check.Status, check.Name), "%s", check.Detail)
	}
	d.Heading(verdict[r.Status])
	for _, check := range r.Checks {
		if check.Status != api.CheckOK {
			d.Line("%s: %s", check.Name, cmp.Or(check.Hint, check.Detail))
		}
	}
}

var verdict = map[api.CheckStatus]string{
	api.CheckOK:   "All is well.",
	api.CheckWarn: "It works. Consider:",
	api.CheckFail: "Something is wrong. What to do:",
}

func describeVerification(d *cli.Details, v api.AuditVerification) {
	if v.Whole {
		d.Text("The audit is whole: %d entries.", v.Entries)
		d.Text("Head: %s", v.Head)
		return
	}
	d.Text("The audit is broken at entry %d: %s.", v.BrokenAt, v.Detail)
}
