package host

import (
	"context"

	"github.com/edgehold/edgehold/wasmabi"
)

// Operate runs one operation in a session of its own, after OpInit. What use is given is valid until it returns.
func (m *Module) Operate(ctx context.Context, c SessionConfig, init []byte, op wasmabi.Op, request []byte, use func(response []byte) error) error {
	s, err := m.Begin(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, err := s.Call(ctx, wasmabi.OpInit, init); err != nil {
		return err
	}
	response, err := s.Call(ctx, op, request)
	if err != nil {
		return err
	}
	return use(response)
}

// Admit reads the manifest of a module that another engine runs, and returns the limits that this runtime would give it. What
// it does not accept gives a *Refusal, as from Prepare.
func (r *Runtime) Admit(module []byte) (*wasmabi.Manifest, Limits, error) {
	if len(module) > r.config.Caps.ModuleBytes {
		return nil, Limits{}, &Refusal{Code: "intake.too-large", Why: "it has more bytes than this node accepts", Hint: "make it smaller, or raise the limit in the node's configuration"}
	}
	m, err := wasmabi.ReadManifest(module)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		return nil, Limits{}, refusal(err)
	}
	l, err := r.config.limits(m.Kind).grant(m.Limits)
	if err != nil {
		return nil, Limits{}, refusal(err)
	}
	return m, l, nil
}

// errElsewhere refuses what only the Extism project's SDK runs.
var errElsewhere = &Refusal{Code: "intake.door", Why: "its manifest gives it to the Extism project's SDK (door: " + wasmabi.DoorExtismSDK + "), which this runner is not",
	Hint: "upload it as an adapter; to run it here, give it the door extism"}
