package cpufreq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/mechanisms"
)

// Order implements [mechanisms.Driver]. Turbo comes first because it moves the range; then a governor that lets the
// energy preference be written, the preference, a governor that fixes it; then the window, by that end which makes
// room for the other; the userspace speed last.
func (d *Driver) Order(now map[string]mechanisms.Value, settings []mechanisms.Setting) []mechanisms.Setting {
	want := make(map[string]mechanisms.Value, len(settings))
	for _, s := range settings {
		want[s.Knob] = s.Value
	}
	out := slices.Clone(settings)
	slices.SortStableFunc(out, func(a, b mechanisms.Setting) int { return rank(a, now, want) - rank(b, now, want) })
	return out
}

func rank(s mechanisms.Setting, now, want map[string]mechanisms.Value) int {
	owner, name, _ := strings.Cut(s.Knob, "/")
	switch name {
	case governor:
		if s.Value.Choice == "performance" {
			return 3
		}
		return 1
	case energyPreference:
		return 2
	case maxFrequency:
		if raises(owner, now, want) {
			return 4
		}
		return 6
	case minFrequency:
		return 5
	case setspeed:
		return 7
	}
	return 0 // turbo
}

// raises tells whether the upper end must go first. The kernel accepts a lower end above the upper one without an
// error and silently moves it.
func raises(owner string, now, want map[string]mechanisms.Value) bool {
	hi := owner + "/" + maxFrequency
	at, known := now[hi]
	return !known || want[hi].Number >= at.Number
}

// Resolve implements [mechanisms.Resolver].
func (d *Driver) Resolve(_ context.Context, settings []mechanisms.Setting) ([]mechanisms.Setting, error) {
	var out []mechanisms.Setting
	for _, s := range settings {
		owner, name, _ := strings.Cut(s.Knob, "/")
		owners, err := d.owners(owner)
		if err != nil {
			return nil, err
		}
		for _, o := range owners {
			out = append(out, spread(o, name, s.Value)...)
		}
	}
	return out, nil
}

func spread(owner, name string, v mechanisms.Value) []mechanisms.Setting {
	switch name {
	case "":
		return []mechanisms.Setting{{Knob: owner, Value: v}}
	case window:
		return []mechanisms.Setting{{Knob: owner + "/" + maxFrequency, Value: v}, {Knob: owner + "/" + minFrequency, Value: v}}
	}
	return []mechanisms.Setting{{Knob: owner + "/" + name, Value: v}}
}

// owners turns "all" and "cpu3" into policies and leaves everything else alone.
func (d *Driver) owners(owner string) ([]string, error) {
	digits, isCPU := strings.CutPrefix(owner, "cpu")
	if owner != "all" && !isCPU {
		return []string{owner}, nil
	}
	nums, err := d.policies()
	if err != nil {
		return nil, fmt.Errorf("list cpufreq policies: %w", err)
	}
	var out []string
	for _, n := range nums {
		if owner == "all" || slices.Contains(d.cpusOf(n), digits) {
			out = append(out, fmt.Sprintf("policy%d", n))
		}
	}
	if len(out) == 0 {
		return nil, &mechanisms.Error{Code: mechanisms.CodeNoKnob, Op: "find the frequency policy of " + owner, Why: "no policy has that CPU",
			Hint: "list them with: edgehold mechanism options " + Name}
	}
	return out, nil
}

func (d *Driver) cpusOf(n int) []string {
	var out []string
	for _, c := range d.policy(n).cpus {
		out = append(out, fmt.Sprint(c))
	}
	return out
}

// Explain implements [mechanisms.Explainer].
func (d *Driver) Explain(ctx context.Context, knob string, want, got mechanisms.Value) string {
	owner, name, _ := strings.Cut(knob, "/")
	n, ok := policyNumber(owner)
	if !ok || want.IsChoice() || got.IsChoice() {
		return ""
	}
	if limit, err := d.biosLimit(n); err == nil && want.Number > limit {
		return fmt.Sprintf("the firmware limits %s to %s Hz at present (bios_limit)", owner, mechanisms.Number(limit))
	}
	other, end := minFrequency, "below min_frequency"
	if name == minFrequency {
		other, end = maxFrequency, "above max_frequency"
	}
	if v, err := d.Read(ctx, owner+"/"+other); err == nil && v == got {
		return fmt.Sprintf("%s can't lie %s, which is %s Hz; the kernel moved it without an error", name, end, v)
	}
	return ""
}

func (d *Driver) biosLimit(n int) (float64, error) {
	s, err := d.dir.Read(policyFile(n, "bios_limit"))
	if err != nil {
		return 0, err
	}
	v, err := decodeKHz(s)
	return v.Number, err
}

// Facts implements [mechanisms.Reporter].
func (d *Driver) Facts(context.Context) map[string]string {
	facts := map[string]string{}
	for _, name := range []string{"intel_pstate/status", "amd_pstate/status"} {
		if s, err := d.dir.Read(name); err == nil {
			facts[name] = s
		}
	}
	nums, _ := d.policies()
	for _, n := range nums {
		p := d.policy(n)
		owner := fmt.Sprintf("policy%d", n)
		facts[owner+"/driver"] = p.driver
		facts[owner+"/cpus"] = strings.Trim(fmt.Sprint(p.cpus), "[]")
		if limit, err := d.biosLimit(n); err == nil && limit < p.max {
			facts[owner+"/bios_limit"] = mechanisms.Number(limit).String() + " Hz"
		}
	}
	return facts
}
