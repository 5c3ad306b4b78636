package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/mechanisms"
)

// Rules turns the envelope into the safety core's rules.
func (c *MechanismPlugins) Rules() (mechanisms.Envelope, error) {
	var out mechanisms.Envelope
	var p problems
	for mechanism, knobs := range c.Envelope {
		for pattern, b := range knobs {
			key := "mechanism_plugins.envelope." + mechanism + "." + pattern
			r := mechanisms.Rule{Mechanism: mechanism, Knob: pattern, Forbid: b.Forbidden, Every: time.Duration(b.MinPeriod)}
			r.Min, r.Max = p.quantity(key+".min", b.Min, &r.Unit), p.quantity(key+".max", b.Max, &r.Unit)
			if step := p.quantity(key+".step", b.Step, &r.Unit); step != nil {
				r.MaxStep = *step
			}
			out.Rules = append(out.Rules, r)
		}
	}
	if err := p.err(); err != nil {
		return out, err
	}
	return out, out.Validate()
}

// quantity reads "2.4 GHz" into the base unit, which all bounds of a rule have in common; an empty text is no bound. Whether
// it is the knobs' own unit shows when there are knobs.
func (p *problems) quantity(key, text string, unit *string) *float64 {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	value, base, err := api.ParseQuantity(text)
	p.require(err == nil, key, fmt.Sprintf("is %q", text), "write a number with its unit, like 2.4 GHz or 15 W")
	p.require(err != nil || base != "", key, fmt.Sprintf("is %q, without a unit", text), "write a number with its unit, like 2.4 GHz or 15 W")
	p.require(*unit == "" || *unit == base, key, fmt.Sprintf("is in %q, another bound of the same knobs in %q", base, *unit), "use one unit")
	*unit = base
	return &value
}
