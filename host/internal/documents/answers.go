package documents

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/wasmabi"
)

// verdict is the answer to analyze.
type verdict struct {
	Plan   bool    `json:"plan"`
	Why    string  `json:"why"`
	NextMS uint32  `json:"next_ms"`
	Bounds []bound `json:"bounds"`
}

type bound struct {
	Metric string   `json:"metric"`
	Above  *float64 `json:"above"`
	Below  *float64 `json:"below"`
}

// plan is the answer to plan.
type plan struct {
	Why     string   `json:"why"`
	Changes []change `json:"changes"`
}

type change struct {
	Mechanism string          `json:"mechanism"`
	Knob      string          `json:"knob"`
	Value     json.RawMessage `json:"value"`
	Reset     bool            `json:"reset"`
	LeaseMS   uint32          `json:"lease_ms"`
}

// Verdict returns the answer to analyze as the response to OpAnalyze. Errors say what is wrong with the answer.
func (p *Policy) Verdict(answer []byte) ([]byte, error) {
	var v verdict
	if err := read(answer, &v); err != nil {
		return nil, err
	}
	if len(v.Bounds) > wasmabi.MaxSettings {
		return nil, fmt.Errorf("bounds has %d entries; at most %d are allowed", len(v.Bounds), wasmabi.MaxSettings)
	}
	a := wasmabi.Analysis{Seq: p.observation.Seq, Plan: v.Plan, NextMS: v.NextMS, Why: clipped(v.Why)}
	for i, b := range v.Bounds {
		id, known := p.metricIDs[b.Metric]
		if !known {
			return nil, fmt.Errorf("bounds[%d] names metric %q, which the manifest does not ask for", i, b.Metric)
		}
		a.BoundIDs = append(a.BoundIDs, id)
		a.Above = append(a.Above, orNone(b.Above))
		a.Below = append(a.Below, orNone(b.Below))
	}
	p.message = wasmabi.AppendAnalysis(p.message[:0], &a)
	return p.message, nil
}

func orNone(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// Plan returns the answer to plan as the response to OpPlan. Errors say what is wrong with the answer.
func (p *Policy) Plan(answer []byte) ([]byte, error) {
	var v plan
	if err := read(answer, &v); err != nil {
		return nil, err
	}
	if len(v.Changes) > wasmabi.MaxSettings {
		return nil, fmt.Errorf("changes has %d entries; at most %d are allowed", len(v.Changes), wasmabi.MaxSettings)
	}
	m := wasmabi.Plan{Seq: p.observation.Seq, Why: clipped(v.Why)}
	for i := range v.Changes {
		if err := p.addChange(&m, &v.Changes[i]); err != nil {
			return nil, fmt.Errorf("changes[%d] %w", i, err)
		}
	}
	p.message = wasmabi.AppendPlan(p.message[:0], &m)
	return p.message, nil
}

func (p *Policy) addChange(m *wasmabi.Plan, c *change) error {
	mechanism, knob, err := p.target(c)
	if err != nil {
		return err
	}
	verb, value := uint32(wasmabi.VerbReset), 0.0
	if !c.Reset {
		verb = wasmabi.VerbSet
		if value, err = p.value(knob, c); err != nil {
			return err
		}
	} else if c.Value != nil {
		return errors.New("has both reset and a value; give one")
	}
	m.Mechanisms = append(m.Mechanisms, mechanism)
	m.Verbs = append(m.Verbs, verb)
	m.Knobs = append(m.Knobs, knob)
	m.Values = append(m.Values, value)
	m.LeaseMS = append(m.LeaseMS, c.LeaseMS)
	return nil
}

// target finds what a change is about: a knob, or with reset all knobs of a mechanism.
func (p *Policy) target(c *change) (mechanism, knob uint32, err error) {
	if c.Mechanism != "" {
		var known bool
		if mechanism, known = p.mechanism(c.Mechanism); !known {
			return 0, 0, fmt.Errorf("names mechanism %q, which was not granted", c.Mechanism)
		}
	}
	if c.Knob == "" {
		if c.Mechanism == "" || !c.Reset {
			return 0, 0, errors.New("names no knob")
		}
		return mechanism, wasmabi.AllKnobs, nil
	}
	knob, known := p.knobIDs[c.Knob]
	if !known {
		return 0, 0, fmt.Errorf("names knob %q, which was not granted", c.Knob)
	}
	owner := p.init.Knobs[knob].Mechanism
	if c.Mechanism != "" && owner != mechanism {
		return 0, 0, fmt.Errorf("names knob %q of mechanism %s; it belongs to %s", c.Knob, c.Mechanism, p.init.Mechanisms[owner])
	}
	return owner, knob, nil
}

func (p *Policy) value(knob uint32, c *change) (float64, error) {
	k := &p.init.Knobs[knob]
	if len(c.Value) == 0 {
		return 0, fmt.Errorf("has no value for knob %q", c.Knob)
	}
	if k.Kind != wasmabi.KnobChoice {
		var number *float64
		if json.Unmarshal(c.Value, &number) != nil || number == nil {
			return 0, fmt.Errorf("has a value for knob %q that is no number", c.Knob)
		}
		return *number, nil
	}
	var choice string
	if json.Unmarshal(c.Value, &choice) != nil {
		return 0, fmt.Errorf("has a value for knob %q that is no text", c.Knob)
	}
	i := slices.Index(k.Choices, choice)
	if i < 0 {
		return 0, fmt.Errorf("has %q for knob %q, which knows %s", short(choice), c.Knob, strings.Join(k.Choices, ", "))
	}
	return float64(i), nil
}

// read decodes exactly one document and refuses members that it does not know: a misspelt one would otherwise be a plan that
// does nothing.
func read(answer []byte, v any) error {
	if len(answer) == 0 {
		return errors.New("it is empty")
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("it is not the JSON document expected: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON document")
	}
	return nil
}

// clipped keeps a text within what a message may have.
func clipped(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > wasmabi.MaxText {
		s = strings.ToValidUTF8(s[:wasmabi.MaxText], "")
	}
	return s
}

func short(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
