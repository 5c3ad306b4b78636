package adapter

import "github.com/edgehold/edgehold/wasmabi"

// Setup tells [Adapter.Initialize] what was granted. A look-up that finds nothing is remembered and fails the
// initialisation with a message that lists what there would be, so results need no check.
type Setup struct {
	init    *wasmabi.Init
	host    Host
	problem string
}

// Name is the adapter's own name, from its manifest.
func (s *Setup) Name() string { return s.init.Policy }

// Version is the adapter's own version, from its manifest.
func (s *Setup) Version() string { return s.init.Version }

// Node is the name of the node that it runs on.
func (s *Setup) Node() string { return s.init.Asset }

// HTTP finds a capability of kind http.
func (s *Setup) HTTP(name string) HTTP {
	h, granted := s.find(wasmabi.CapabilityHTTP, name)
	return HTTP{h, granted}
}

// Files finds a capability of kind file.
func (s *Setup) Files(name string) Files {
	h, granted := s.find(wasmabi.CapabilityFile, name)
	return Files{h, granted}
}

// KV finds a capability of kind kv.
func (s *Setup) KV(name string) KV {
	h, _ := s.find(wasmabi.CapabilityKV, name)
	return KV{h}
}

// CoAP finds a capability of kind coap.
func (s *Setup) CoAP(name string) CoAP {
	h, granted := s.find(wasmabi.CapabilityCoAP, name)
	return CoAP{h, granted}
}

func (s *Setup) find(kind, name string) (handle, *wasmabi.CapabilityRequest) {
	have := ""
	for i := range s.init.Capabilities {
		c := &s.init.Capabilities[i]
		if c.Kind == kind && c.Name == name {
			return handle{s.host, uint32(i)}, c
		}
		have += " " + c.Kind + " " + c.Name + ","
	}
	s.missing("capability "+kind+" "+name, have, "ask for it under capabilities")
	return handle{}, &wasmabi.CapabilityRequest{}
}

// Parameter is the operator's value of a parameter, or its default.
func (s *Setup) Parameter(name string) float64 {
	have := ""
	for i, p := range s.init.ParameterNames {
		if p == name {
			return s.init.Parameters[i]
		}
		have += " " + p + ","
	}
	s.missing("parameter "+name, have, "list it under parameters")
	return 0
}

func (s *Setup) missing(what, have, hint string) {
	if s.problem != "" {
		return
	}
	if have == "" {
		have = " nothing"
	} else {
		have = have[:len(have)-1]
	}
	s.problem = "there is no " + what + "; there is" + have + ": " + hint + " in the manifest"
}
