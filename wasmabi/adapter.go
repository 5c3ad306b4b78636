package wasmabi

import "math"

// The messages of an adapter's operations; see Why in RATIONALE.md. All are cold, and knobs go by their names.
//
//   - [OpOptions]: request empty, response Options
//   - [OpState]: request Names (none: all knobs), response Readings
//   - [OpPlan]: request Settings, response Readings: what would be so. It simulates, and has no effect
//   - [OpApply], [OpRevert]: request Settings, response empty

// Options lists the knobs that there are now, in the order in which they may be written.
type Options struct{ Knobs []KnobOption }

// KnobOption is one thing that can be turned.
type KnobOption struct {
	Name    string // unique in the adapter: "desk/brightness"
	Summary string
	Unit    string // "Hz", "W"; empty for choices
	Kind    string // "number" or "choice"

	Min, Max, Step float64   // of a number; NaN where there is none
	Table          []float64 // the only values of a number, ascending, when there are only some
	Choices        []string

	Driver      string   // what serves it now, for example a serial number: old values are only written back to the same
	Conflict    string   // a key that knobs share which only one owner may turn at a time
	Affects     []string // knobs that move along with this one
	ReadOnly    bool
	Unavailable string // why it can't be used at present
}

// Names is a list of names: of knobs, or of files.
type Names struct{ Names []string }

// Settings is what knobs shall be set to.
type Settings struct{ Settings []KnobSetting }

// KnobSetting is a knob with a number, or with a choice.
type KnobSetting struct {
	Knob   string
	Number float64 // NaN when it is a choice
	Choice string
}

// Readings is what knobs are at.
type Readings struct {
	Readings []KnobReading
	Facts    []Label // about the device, for people
}

// KnobReading is a knob's value, or why there is none.
type KnobReading struct {
	Knob    string
	Number  float64 // NaN when it is a choice
	Choice  string
	Problem string // why it can't be read
	Away    bool   // the problem may pass: the device is switched off, say
}

// AppendOptions appends the encoded m to dst.
func AppendOptions(dst []byte, m *Options) []byte {
	f := openFields(dst)
	appendList(&f, "knobs", m.Knobs, appendKnobOption)
	return f.close()
}

func appendKnobOption(b []byte, k *KnobOption) []byte {
	f := openFields(b)
	f.float("max", k.Max)
	f.float("min", k.Min)
	f.text("kind", k.Kind)
	f.text("name", k.Name)
	f.float("step", k.Step)
	f.text("unit", k.Unit)
	f.floats("table", k.Table)
	f.text("driver", k.Driver)
	f.texts("affects", k.Affects)
	f.texts("choices", k.Choices)
	f.text("summary", k.Summary)
	f.text("conflict", k.Conflict)
	f.bool("read_only", k.ReadOnly)
	f.text("unavailable", k.Unavailable)
	return f.close()
}

// AppendNames appends the encoded m to dst.
func AppendNames(dst []byte, m *Names) []byte {
	f := openFields(dst)
	f.texts("names", m.Names)
	return f.close()
}

// AppendSettings appends the encoded m to dst.
func AppendSettings(dst []byte, m *Settings) []byte {
	f := openFields(dst)
	appendList(&f, "settings", m.Settings, func(b []byte, s *KnobSetting) []byte {
		f := openFields(b)
		f.text("knob", s.Knob)
		f.text("choice", s.Choice)
		f.float("number", s.Number)
		return f.close()
	})
	return f.close()
}

// AppendReadings appends the encoded m to dst.
func AppendReadings(dst []byte, m *Readings) []byte {
	f := openFields(dst)
	appendList(&f, "facts", m.Facts, appendLabel)
	appendList(&f, "readings", m.Readings, func(b []byte, s *KnobReading) []byte {
		f := openFields(b)
		f.bool("away", s.Away)
		f.text("knob", s.Knob)
		f.text("choice", s.Choice)
		f.float("number", s.Number)
		f.text("problem", s.Problem)
		return f.close()
	})
	return f.close()
}

// decodeOnly decodes a message that has one field.
func decodeOnly(b []byte, message, field string, read func(*reader)) error {
	r := reader{b: b, message: message}
	for k := r.keys(); k.next(); {
		if k.key == field {
			read(&r)
		} else {
			r.skip(0)
		}
	}
	return r.finish()
}

// DecodeOptions decodes b into m. Nothing of m aliases b.
func DecodeOptions(b []byte, m *Options) error {
	*m = Options{}
	return decodeOnly(b, "options", "knobs", func(r *reader) { m.Knobs = list(r, m.Knobs, MaxKnobs, decodeKnobOption) })
}

func decodeKnobOption(r *reader, o *KnobOption) {
	o.Min, o.Max, o.Step = math.NaN(), math.NaN(), math.NaN()
	for k := r.keys(); k.next(); {
		switch k.key {
		case "max":
			o.Max = r.float()
		case "min":
			o.Min = r.float()
		case "kind":
			o.Kind = r.text(MaxName)
		case "name":
			o.Name = r.text(MaxName)
		case "step":
			o.Step = r.float()
		case "unit":
			o.Unit = r.text(MaxName)
		case "table":
			o.Table = r.float64s(o.Table, MaxChoices)
		case "driver":
			o.Driver = r.text(MaxName)
		case "affects":
			o.Affects = r.texts(o.Affects, MaxAffects, MaxName)
		case "choices":
			o.Choices = r.texts(o.Choices, MaxChoices, MaxName)
		case "summary":
			o.Summary = r.text(MaxText)
		case "conflict":
			o.Conflict = r.text(MaxName)
		case "read_only":
			o.ReadOnly = r.bool()
		case "unavailable":
			o.Unavailable = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
}

// DecodeNames decodes b into m. Nothing of m aliases b.
func DecodeNames(b []byte, m *Names) error {
	*m = Names{}
	return decodeOnly(b, "names", "names", func(r *reader) { m.Names = r.texts(m.Names, MaxKnobs, MaxText) })
}

// DecodeSettings decodes b into m. Nothing of m aliases b.
func DecodeSettings(b []byte, m *Settings) error {
	*m = Settings{}
	return decodeOnly(b, "settings", "settings", func(r *reader) { m.Settings = list(r, m.Settings, MaxSettings, decodeKnobSetting) })
}

func decodeKnobSetting(r *reader, s *KnobSetting) {
	s.Number = math.NaN()
	for k := r.keys(); k.next(); {
		switch k.key {
		case "knob":
			s.Knob = r.text(MaxName)
		case "choice":
			s.Choice = r.text(MaxName)
		case "number":
			s.Number = r.float()
		default:
			r.skip(0)
		}
	}
}

// DecodeReadings decodes b into m. Nothing of m aliases b.
func DecodeReadings(b []byte, m *Readings) error {
	*m = Readings{}
	r := reader{b: b, message: "readings"}
	for k := r.keys(); k.next(); {
		switch k.key {
		case "facts":
			m.Facts = list(&r, m.Facts, MaxFacts, decodeLabel)
		case "readings":
			m.Readings = list(&r, m.Readings, MaxKnobs, decodeKnobReading)
		default:
			r.skip(0)
		}
	}
	return r.finish()
}

func decodeKnobReading(r *reader, s *KnobReading) {
	s.Number = math.NaN()
	for k := r.keys(); k.next(); {
		switch k.key {
		case "away":
			s.Away = r.bool()
		case "knob":
			s.Knob = r.text(MaxName)
		case "choice":
			s.Choice = r.text(MaxName)
		case "number":
			s.Number = r.float()
		case "problem":
			s.Problem = r.text(MaxText)
		default:
			r.skip(0)
		}
	}
}
