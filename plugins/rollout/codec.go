package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// MaxStateBytes bounds a [State] as JSON.
const MaxStateBytes = 256 << 10

// Encode writes a state as JSON.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write the state of rollout %s: %w", s.ID, err)
	}
	return b, nil
}

// Decode reads what Encode wrote. What it returns is safe to Step, wherever b is from.
func Decode(b []byte) (State, error) {
	var s State
	if len(b) > MaxStateBytes {
		return State{}, fmt.Errorf("read a rollout's state: %d bytes are more than %d", len(b), MaxStateBytes)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&s); err != nil {
		return State{}, fmt.Errorf("read a rollout's state: %w", err)
	}
	if err := s.check(); err != nil {
		return State{}, fmt.Errorf("read a rollout's state: %w", err)
	}
	return s, nil
}

func (s *State) check() error {
	switch {
	case s.Schema != Schema:
		return fmt.Errorf("its schema is %d, this agent knows %d", s.Schema, Schema)
	case !slices.Contains(allPhases, s.Phase):
		return fmt.Errorf("there is no phase %q", clip(string(s.Phase), 40))
	case s.Pending != "" && s.Pending != Activate && s.Pending != RollBack:
		return fmt.Errorf("%q can't be pending", clip(string(s.Pending), 40))
	case (s.Pending == RollBack) != (s.Then != "") || s.Then != "" && s.Then != PhaseStandby && s.Then != PhaseRetired && s.Then != PhaseQuarantined:
		return errors.New("a rollback does not end as it says")
	case len(s.Marks) > MaxMarks || len(s.History) > MaxHistory || len(s.GateRuns) > len(s.Spec.Gates) || len(s.Trail) > MaxTrail:
		return errors.New("its lists are too long")
	case len(s.Before) > MaxBeforeBytes:
		return fmt.Errorf("what it keeps for its owner has %d bytes, more than %d", len(s.Before), MaxBeforeBytes)
	case s.Tries < 0 || s.Crashes < 0:
		return errors.New("it counts below zero")
	case s.Phase != PhaseNone && (s.ID == "" || s.Digest == ""):
		return errors.New("it does not say what it is about")
	}
	for i := range s.GateRuns {
		if s.GateRuns[i].Broke > 0 && s.GateRuns[i].Last == nil {
			return errors.New("a gate broke without a value")
		}
	}
	return s.Spec.Validate()
}

var allPhases = append(Phases(), PhaseNone, PhaseStandby, PhaseRetired, PhaseQuarantined)
