package cpufreq

import (
	"slices"
	"strings"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/internal/sysfs"
)

// policy is what the kernel says of the CPUs that share a clock; frequencies in Hz.
type policy struct {
	num         int
	driver      string // scaling_driver
	cpus        []int  // related_cpus, offline ones included
	min, max    float64
	table       []float64 // empty with intel_pstate and amd-pstate
	governors   []string
	preferences []string
	setspeed    bool
	away        string // why it can't be used at present
}

// policy reads one. When its CPUs are offline the kernel shows nothing, so the last known takes its place.
func (d *Driver) policy(n int) policy {
	p, err := d.readPolicy(n)
	if err == nil {
		d.seen[n] = p
		return p
	}
	p, known := d.seen[n]
	if !known {
		p = policy{num: n}
	}
	p.away = "none of its CPUs is online: " + err.Error()
	return p
}

func (d *Driver) readPolicy(n int) (policy, error) {
	r := reader{dir: d.dir, policy: n}
	p := policy{
		num:    n,
		driver: r.text("scaling_driver"),
		cpus:   r.cpus("related_cpus"),
		min:    r.hertz("cpuinfo_min_freq"),
		max:    r.hertz("cpuinfo_max_freq"),
	}
	if r.err != nil {
		return p, r.err
	}
	p.table = r.optionalTable("scaling_available_frequencies", "scaling_boost_frequencies")
	p.governors = strings.Fields(r.optional("scaling_available_governors"))
	p.preferences = strings.Fields(r.optional("energy_performance_available_preferences"))
	p.setspeed = slices.Contains(p.governors, "userspace")
	if len(p.table) > 0 {
		p.min, p.max = min(p.min, p.table[0]), max(p.max, p.table[len(p.table)-1])
	}
	return p, r.err
}

// reader reads attributes of one policy and keeps the first error.
type reader struct {
	dir    *sysfs.Dir
	policy int
	err    error
}

func (r *reader) text(name string) string {
	if r.err != nil {
		return ""
	}
	s, err := r.dir.Read(policyFile(r.policy, name))
	r.err = err
	return s
}

// optional reads an attribute that not every driver has.
func (r *reader) optional(name string) string {
	s, err := r.dir.Read(policyFile(r.policy, name))
	if err != nil {
		return ""
	}
	return s
}

func (r *reader) hertz(name string) float64 {
	s := r.text(name)
	if r.err != nil {
		return 0
	}
	v, err := decodeKHz(s)
	r.err = err
	return v.Number
}

func (r *reader) cpus(name string) []int {
	s := r.text(name)
	if r.err != nil {
		return nil
	}
	cpus, err := sysfs.ParseCPUs(s)
	r.err = err
	return cpus
}

// optionalTable joins tables of kHz into one of Hz, ascending. A table that can't be read is no table.
func (r *reader) optionalTable(names ...string) []float64 {
	var table []float64
	for _, name := range names {
		for f := range strings.FieldsSeq(r.optional(name)) {
			v, err := decodeKHz(f)
			if err != nil {
				return nil
			}
			table = append(table, v.Number)
		}
	}
	slices.Sort(table)
	return slices.Compact(table)
}

// knobs describes what can be turned.
func (p policy) knobs() []mechanisms.Knob {
	lo, hi := policyKnob(p.num, minFrequency), policyKnob(p.num, maxFrequency)
	out := []mechanisms.Knob{
		p.frequency(maxFrequency, "upper end of the window in which the governor moves", lo),
		p.frequency(minFrequency, "lower end of the window in which the governor moves", hi),
	}
	out = append(out, p.choice(governor, "who decides about the frequency within the window", p.governors, p.tied()...))
	if p.setspeed {
		k := p.frequency(setspeed, "the frequency while the governor is userspace")
		k.Conflict = policyKnob(p.num, governor) // it means nothing under another's governor
		out = append(out, k)
	}
	if len(p.preferences) > 0 {
		out = append(out, p.choice(energyPreference, "what the hardware aims at when it decides by itself", p.preferences))
	}
	cur := p.frequency(currentFrequency, "the frequency as the kernel sees it now")
	cur.ReadOnly, cur.Table = true, nil
	return append(out, cur)
}

// tied are the knobs that a change of governor moves along.
func (p policy) tied() []string {
	var out []string
	if p.setspeed {
		out = append(out, policyKnob(p.num, setspeed))
	}
	if len(p.preferences) > 0 {
		out = append(out, policyKnob(p.num, energyPreference))
	}
	return out
}

func (p policy) frequency(name, summary string, affects ...string) mechanisms.Knob {
	k := p.knob(name, summary, affects)
	k.Kind, k.Unit, k.Min, k.Max, k.Table = mechanisms.KindNumber, "Hz", p.min, p.max, p.table
	if len(p.table) == 0 {
		k.Step = hzPerKHz
	}
	return k
}

func (p policy) choice(name, summary string, choices []string, affects ...string) mechanisms.Knob {
	k := p.knob(name, summary, affects)
	k.Kind, k.Choices = mechanisms.KindChoice, choices
	return k
}

func (p policy) knob(name, summary string, affects []string) mechanisms.Knob {
	return mechanisms.Knob{Name: policyKnob(p.num, name), Summary: summary, Driver: p.driver, Affects: affects, Unavailable: p.away}
}
