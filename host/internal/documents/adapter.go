package documents

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/edgehold/edgehold/wasmabi"
)

// Adapter makes the documents of one instance of an adapter. It is used again and again; what it returns is valid until the
// next call.
type Adapter struct {
	init     wasmabi.Init
	document []byte
	message  []byte
}

// Open reads the request of OpInit.
func (a *Adapter) Open(request []byte) error { return wasmabi.DecodeInit(request, &a.init) }

// Context returns what the instance before this one left.
func (a *Adapter) Context() []byte { return a.init.Context }

// Config returns the operator's parameters as a plugin's configuration.
func (a *Adapter) Config() map[string]string { return config(&a.init) }

// Web returns which capability is the first for HTTP.
func (a *Adapter) Web() (handle int, ok bool) {
	handle = slices.IndexFunc(a.init.Capabilities, func(c wasmabi.CapabilityRequest) bool { return c.Kind == wasmabi.CapabilityHTTP })
	return handle, handle >= 0
}

// Introduction returns the document for initialize.
func (a *Adapter) Introduction() []byte {
	w := a.write()
	w.text("adapter", a.init.Policy)
	w.text("version", a.init.Version)
	w.text("layer", a.init.Layer)
	w.text("asset", a.init.Asset)
	parameters(w, &a.init)
	return a.finish(w)
}

func (a *Adapter) write() *writer { return &writer{b: append(a.document[:0], '{')} }

func (a *Adapter) finish(w *writer) []byte {
	w.close()
	a.document = w.b
	return a.document
}

// Knobs returns the document for state: the names of the knobs that are asked for.
func (a *Adapter) Knobs(request []byte) ([]byte, error) {
	var m wasmabi.Names
	if err := wasmabi.DecodeNames(request, &m); err != nil {
		return nil, err
	}
	w := a.write()
	w.key("knobs")
	w.texts(m.Names)
	return a.finish(w), nil
}

// Settings returns the document for plan, apply and revert.
func (a *Adapter) Settings(request []byte) ([]byte, error) {
	var m wasmabi.Settings
	if err := wasmabi.DecodeSettings(request, &m); err != nil {
		return nil, err
	}
	w := a.write()
	w.key("settings")
	w.b = append(w.b, '[')
	for i := range m.Settings {
		s := &m.Settings[i]
		w.next()
		w.b = append(w.b, '{')
		w.text("knob", s.Knob)
		if math.IsNaN(s.Number) {
			w.text("value", s.Choice)
		} else {
			w.number("value", s.Number)
		}
		w.close()
	}
	w.b = append(w.b, ']')
	return a.finish(w), nil
}

// options is the answer to options.
type options struct {
	Knobs []knobOption `json:"knobs"`
}

type knobOption struct {
	Name        string    `json:"name"`
	Summary     string    `json:"summary"`
	Unit        string    `json:"unit"`
	Min         *float64  `json:"min"`
	Max         *float64  `json:"max"`
	Step        *float64  `json:"step"`
	Values      []float64 `json:"values"`
	Choices     []string  `json:"choices"`
	Driver      string    `json:"driver"`
	Conflict    string    `json:"conflict"`
	Affects     []string  `json:"affects"`
	ReadOnly    bool      `json:"read_only"`
	Unavailable string    `json:"unavailable"`
}

// Options returns the answer to options as the response to OpOptions.
func (a *Adapter) Options(answer []byte) ([]byte, error) {
	var v options
	if err := read(answer, &v); err != nil {
		return nil, err
	}
	if len(v.Knobs) > wasmabi.MaxKnobs {
		return nil, fmt.Errorf("knobs has %d entries; at most %d are allowed", len(v.Knobs), wasmabi.MaxKnobs)
	}
	var m wasmabi.Options
	for _, k := range v.Knobs {
		kind := wasmabi.KnobNumber
		if len(k.Choices) > 0 {
			kind = wasmabi.KnobChoice
		}
		m.Knobs = append(m.Knobs, wasmabi.KnobOption{
			Name: k.Name, Summary: clipped(k.Summary), Unit: k.Unit, Kind: kind, Min: orNone(k.Min), Max: orNone(k.Max), Step: orNone(k.Step),
			Table: k.Values, Choices: k.Choices, Driver: k.Driver, Conflict: k.Conflict, Affects: k.Affects, ReadOnly: k.ReadOnly,
			Unavailable: clipped(k.Unavailable),
		})
	}
	a.message = wasmabi.AppendOptions(a.message[:0], &m)
	return a.sound(new(wasmabi.Options))
}

// sound refuses a message that its own decoder would: names that are too long, lists that are.
func (a *Adapter) sound(into any) ([]byte, error) {
	var err error
	switch m := into.(type) {
	case *wasmabi.Options:
		err = wasmabi.DecodeOptions(a.message, m)
	case *wasmabi.Readings:
		err = wasmabi.DecodeReadings(a.message, m)
	}
	return a.message, err
}

// readings is the answer to state and to plan.
type readings struct {
	Readings []reading         `json:"readings"`
	Facts    map[string]string `json:"facts"`
}

type reading struct {
	Knob    string          `json:"knob"`
	Value   json.RawMessage `json:"value"`
	Problem string          `json:"problem"`
	Away    bool            `json:"away"`
}

// Readings returns the answer to state or plan as the response to OpState or OpPlan.
func (a *Adapter) Readings(answer []byte) ([]byte, error) {
	var v readings
	if err := read(answer, &v); err != nil {
		return nil, err
	}
	if len(v.Readings) > wasmabi.MaxKnobs {
		return nil, fmt.Errorf("readings has %d entries; at most %d are allowed", len(v.Readings), wasmabi.MaxKnobs)
	}
	var m wasmabi.Readings
	for i, r := range v.Readings {
		reading, err := r.message()
		if err != nil {
			return nil, fmt.Errorf("readings[%d] %w", i, err)
		}
		m.Readings = append(m.Readings, reading)
	}
	for name, text := range v.Facts {
		m.Facts = append(m.Facts, wasmabi.Label{Name: name, Value: text})
	}
	slices.SortFunc(m.Facts, func(a, b wasmabi.Label) int { return compareNames(a.Name, b.Name) })
	a.message = wasmabi.AppendReadings(a.message[:0], &m)
	return a.sound(new(wasmabi.Readings))
}

func compareNames(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (r *reading) message() (wasmabi.KnobReading, error) {
	m := wasmabi.KnobReading{Knob: r.Knob, Number: math.NaN(), Problem: clipped(r.Problem), Away: r.Away}
	if len(r.Value) == 0 || string(r.Value) == "null" {
		if r.Problem == "" {
			return m, errors.New("has neither a value nor a problem")
		}
		return m, nil
	}
	if json.Unmarshal(r.Value, &m.Number) == nil {
		return m, nil
	}
	m.Number = math.NaN()
	if json.Unmarshal(r.Value, &m.Choice) != nil {
		return m, errors.New("has a value that is neither a number nor a text")
	}
	return m, nil
}
