package policy

import "github.com/edgehold/edgehold/wasmabi"

// Setup tells [Policy.Initialize] what there is. A look-up that finds nothing is remembered and fails the
// initialisation with a message that lists what there would be, so results need no check.
type Setup struct {
	init    *wasmabi.Init
	problem string
}

// Policy is the policy's own name, from its manifest.
func (s *Setup) Policy() string { return s.init.Policy }

// Version is the policy's own version, from its manifest.
func (s *Setup) Version() string { return s.init.Version }

// Asset is what this instance decides for: the node's or the application's name.
func (s *Setup) Asset() string { return s.init.Asset }

// Scope is "node" or "application".
func (s *Setup) Scope() string { return s.init.Scope }

// Layer is "node", "cluster" or "continuum".
func (s *Setup) Layer() string { return s.init.Layer }

// Has reports whether the host offers an optional feature.
func (s *Setup) Has(feature string) bool {
	for _, f := range s.init.Features {
		if f == feature {
			return true
		}
	}
	return false
}

// Metric finds a metric of policy.yaml. When several have the name, pairs of label and value say which one:
// s.Metric("latency_seconds", "app", "shop").
func (s *Setup) Metric(name string, labels ...string) Metric {
	for i := range s.init.Metrics {
		if m := &s.init.Metrics[i]; m.Name == name && hasLabels(m.Labels, labels) {
			return Metric{uint32(i) + 1}
		}
	}
	var have []string
	for i := range s.init.Metrics {
		have = append(have, s.init.Metrics[i].Name)
	}
	s.missing("metric", name, have, "list it under metrics in policy.yaml")
	return Metric{}
}

func hasLabels(have []wasmabi.Label, want []string) bool {
	for i := 0; i+1 < len(want); i += 2 {
		found := false
		for _, l := range have {
			found = found || l.Name == want[i] && l.Value == want[i+1]
		}
		if !found {
			return false
		}
	}
	return len(want)%2 == 0
}

// Mechanism finds a granted mechanism.
func (s *Setup) Mechanism(name string) Mechanism {
	for i, m := range s.init.Mechanisms {
		if m == name {
			return Mechanism{uint32(i) + 1}
		}
	}
	s.missing("mechanism", name, s.init.Mechanisms, "list it under mechanisms in policy.yaml, and have it granted")
	return Mechanism{}
}

// Knob finds one granted knob by its exact name.
func (s *Setup) Knob(mechanism, name string) Knob {
	for i := range s.init.Knobs {
		if s.owned(i, mechanism) && s.init.Knobs[i].Name == name {
			return Knob{uint32(i), &s.init.Knobs[i]}
		}
	}
	s.missing("knob", name, s.knobNames(mechanism), "grant it, or ask by pattern with Knobs")
	return Knob{}
}

// Knobs finds the granted knobs that match a pattern, in which * stands for any text without a slash and ? for one
// byte. There is at least one, or the initialisation fails.
func (s *Setup) Knobs(mechanism, pattern string) []Knob {
	var found []Knob
	for i := range s.init.Knobs {
		if s.owned(i, mechanism) && match(pattern, s.init.Knobs[i].Name) {
			found = append(found, Knob{uint32(i), &s.init.Knobs[i]})
		}
	}
	if len(found) == 0 {
		s.missing("knob", pattern, s.knobNames(mechanism), "grant some, or change the pattern")
	}
	return found
}

// Parameter is the value of a parameter of policy.yaml: the operator's, or the default.
func (s *Setup) Parameter(name string) float64 {
	for i, n := range s.init.ParameterNames {
		if n == name && i < len(s.init.Parameters) {
			return s.init.Parameters[i]
		}
	}
	s.missing("parameter", name, s.init.ParameterNames, "list it under parameters in policy.yaml")
	return 0
}

func (s *Setup) owned(knob int, mechanism string) bool {
	m := s.init.Knobs[knob].Mechanism
	return m < uint32(len(s.init.Mechanisms)) && s.init.Mechanisms[m] == mechanism
}

func (s *Setup) knobNames(mechanism string) []string {
	var names []string
	for i := range s.init.Knobs {
		if s.owned(i, mechanism) {
			names = append(names, s.init.Knobs[i].Name)
		}
	}
	return names
}

// missing remembers the first failed look-up.
func (s *Setup) missing(what, name string, have []string, hint string) {
	if s.problem != "" {
		return
	}
	s.problem = "there is no " + what + " " + name + "; "
	if len(have) == 0 {
		s.problem += "there is none at all"
	} else {
		s.problem += "there is "
	}
	const most = 12
	for i, h := range have {
		if i == most {
			s.problem += ", ..."
			break
		}
		if i > 0 {
			s.problem += ", "
		}
		s.problem += h
	}
	s.problem += ": " + hint
}

// match is path.Match without classes and escapes.
func match(pattern, name string) bool {
	for pattern != "" {
		if pattern[0] == '*' {
			for i := 0; ; i++ {
				if match(pattern[1:], name[i:]) {
					return true
				}
				if i == len(name) || name[i] == '/' {
					return false
				}
			}
		}
		if name == "" || pattern[0] != name[0] && (pattern[0] != '?' || name[0] == '/') {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return name == ""
}
