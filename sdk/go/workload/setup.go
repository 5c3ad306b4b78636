package workload

import "github.com/edgehold/edgehold/wasmabi"

// Setup tells [Workload.Start] what there is. A look-up that finds nothing is remembered and fails the start with a message that lists
// what there would be, so results need no check.
type Setup struct {
	start   *wasmabi.Start
	host    Host
	problem string
}

// Name is the workload's own name, from its manifest.
func (s *Setup) Name() string { return s.start.Name }

// Version is the workload's own version, from its manifest.
func (s *Setup) Version() string { return s.start.Version }

// Device is the endpoint name of the device that it runs on.
func (s *Setup) Device() string { return s.start.Device }

// Input finds an input.
func (s *Setup) Input(name string) Input { return Input{s.find("input", name, s.start.Inputs)} }

// Output finds an output.
func (s *Setup) Output(name string) Output { return Output{s.find("output", name, s.start.Outputs)} }

// Property finds a property of the device.
func (s *Setup) Property(name string) Property {
	return Property{s.find("property", name, s.start.Properties), s.host}
}

// Knob finds a knob of the device.
func (s *Setup) Knob(name string) Knob {
	return Knob{s.find("knob", name, s.start.Knobs), s.host}
}

// Parameter is the operator's value of a parameter, or its default.
func (s *Setup) Parameter(name string) float64 {
	if i := s.find("parameter", name, s.start.ParameterNames); int(i) < len(s.start.Parameters) {
		return s.start.Parameters[i]
	}
	return 0
}

func (s *Setup) find(kind, name string, all []string) uint32 {
	have := ""
	for i, n := range all {
		if n == name {
			return uint32(i)
		}
		have += " " + n + ","
	}
	if s.problem == "" {
		if have == "" {
			have = " nothing,"
		}
		s.problem = "there is no " + kind + " " + name + "; there is" + have[:len(have)-1] + ": name it in the manifest"
	}
	return ^uint32(0)
}
