// Package documents turns the messages of the ABI into JSON documents for Extism plugins, and their JSON answers back into
// messages. It calls nobody, and does not judge plans: whether a knob may have a value is decided where plans of other
// guests are judged too.
//
// The documents are described in host/extism/README.md.
package documents

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Policy makes the documents of one instance of a policy. It is used again and again; what it returns is valid until the
// next call.
type Policy struct {
	init        wasmabi.Init
	metrics     []string // names in documents, by id
	knobs       []string // names in documents, by id
	metricIDs   map[string]uint32
	knobIDs     map[string]uint32
	observation wasmabi.Observation
	document    []byte
	message     []byte
}

// Open reads the request of OpInit.
func (p *Policy) Open(request []byte) error {
	if err := wasmabi.DecodeInit(request, &p.init); err != nil {
		return err
	}
	for i := range p.init.Knobs {
		if m := p.init.Knobs[i].Mechanism; uint64(m) >= uint64(len(p.init.Mechanisms)) {
			return fmt.Errorf("knob %s has unknown mechanism %d", p.init.Knobs[i].Name, m)
		}
	}
	p.nameMetrics()
	p.nameKnobs()
	return nil
}

// nameMetrics names metrics as Prometheus writes series. Requests for the same series with different reductions get a number.
func (p *Policy) nameMetrics() {
	p.metrics, p.metricIDs = p.metrics[:0], make(map[string]uint32, len(p.init.Metrics))
	for id := range p.init.Metrics {
		m := &p.init.Metrics[id]
		name := series(m)
		if _, taken := p.metricIDs[name]; taken {
			name += "#" + strconv.Itoa(id)
		}
		p.metrics = append(p.metrics, name)
		p.metricIDs[name] = uint32(id)
	}
}

func series(m *wasmabi.MetricInfo) string {
	if len(m.Labels) == 0 {
		return m.Name
	}
	b := append([]byte(m.Name), '{')
	for i, l := range m.Labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, l.Name...), '=')
		b = strconv.AppendQuote(b, l.Value)
	}
	return string(append(b, '}'))
}

// nameKnobs names knobs by themselves; where two mechanisms have one of the same name, by both.
func (p *Policy) nameKnobs() {
	p.knobs, p.knobIDs = p.knobs[:0], make(map[string]uint32, len(p.init.Knobs))
	for id := range p.init.Knobs {
		k := &p.init.Knobs[id]
		name := k.Name
		if _, taken := p.knobIDs[name]; taken {
			name = p.init.Mechanisms[k.Mechanism] + ":" + name
		}
		p.knobs = append(p.knobs, name)
		p.knobIDs[name] = uint32(id)
	}
}

// Context returns what the instance before this one left.
func (p *Policy) Context() []byte { return p.init.Context }

// Config returns the operator's parameters as a plugin's configuration.
func (p *Policy) Config() map[string]string { return config(&p.init) }

func config(init *wasmabi.Init) map[string]string {
	texts := make(map[string]string, len(init.ParameterNames))
	for i, name := range init.ParameterNames {
		if i < len(init.Parameters) {
			texts[name] = strconv.FormatFloat(init.Parameters[i], 'g', -1, 64)
		}
	}
	return texts
}

// Introduction returns the document for initialize.
func (p *Policy) Introduction() []byte {
	w := p.write()
	w.text("policy", p.init.Policy)
	w.text("version", p.init.Version)
	w.text("layer", p.init.Layer)
	w.text("scope", p.init.Scope)
	w.text("asset", p.init.Asset)
	parameters(w, &p.init)
	w.open("metrics")
	for id, name := range p.metrics {
		w.open(name)
		w.text("unit", p.init.Metrics[id].Unit)
		w.close()
	}
	w.close()
	w.open("knobs")
	for id, name := range p.knobs {
		w.open(name)
		p.knob(w, &p.init.Knobs[id])
		w.close()
	}
	w.close()
	return p.finish(w)
}

func (p *Policy) knob(w *writer, k *wasmabi.KnobInfo) {
	w.text("mechanism", p.init.Mechanisms[k.Mechanism])
	if k.Kind == wasmabi.KnobChoice {
		w.key("choices")
		w.texts(k.Choices)
		return
	}
	w.text("unit", k.Unit)
	w.number("min", k.Min)
	w.number("max", k.Max)
	w.number("step", k.Step)
	if len(k.Table) > 0 {
		w.key("values")
		w.numbers(k.Table)
	}
}

var triggers = map[uint32]string{
	wasmabi.TriggerPeriodic: "periodic", wasmabi.TriggerWake: "wake", wasmabi.TriggerManual: "manual",
}

// Observation returns the document for analyze and plan.
func (p *Policy) Observation(request []byte) ([]byte, error) {
	o := &p.observation
	if err := wasmabi.DecodeObservation(request, o); err != nil {
		return nil, err
	}
	w := p.write()
	w.uint("seq", o.Seq)
	w.text("time", time.Unix(0, o.TimeNS).UTC().Format(time.RFC3339Nano))
	w.text("trigger", triggers[o.Trigger])
	w.text("asset", p.init.Asset)
	parameters(w, &p.init)
	w.open("metrics")
	for i, id := range o.IDs {
		if uint64(id) < uint64(len(p.metrics)) {
			p.metric(w, id, o.Values[i], o.AgesMS[i])
		}
	}
	w.close()
	w.open("knobs")
	for i, id := range o.KnobIDs {
		if uint64(id) < uint64(len(p.knobs)) {
			p.setting(w, id, o.KnobValues[i])
		}
	}
	w.close()
	return p.finish(w), nil
}

func (p *Policy) metric(w *writer, id uint32, value float64, ageMS uint32) {
	w.open(p.metrics[id])
	w.number("value", value)
	if ageMS != wasmabi.AgeMissing {
		w.uint("age_ms", uint64(ageMS))
	}
	w.text("unit", p.init.Metrics[id].Unit)
	w.close()
}

func (p *Policy) setting(w *writer, id uint32, value float64) {
	k := &p.init.Knobs[id]
	w.open(p.knobs[id])
	if i := int(value); k.Kind != wasmabi.KnobChoice {
		w.number("value", value)
	} else if value == float64(i) && i >= 0 && i < len(k.Choices) {
		w.text("value", k.Choices[i])
	}
	p.knob(w, k)
	w.close()
}

func parameters(w *writer, init *wasmabi.Init) {
	w.open("parameters")
	for i, name := range init.ParameterNames {
		if i < len(init.Parameters) {
			w.number(name, init.Parameters[i])
		}
	}
	w.close()
}

// Migration returns the document for migrate.
func Migration(fromSchema uint32) []byte { return fmt.Appendf(nil, `{"from_schema":%d}`, fromSchema) }

func (p *Policy) write() *writer { return &writer{b: append(p.document[:0], '{')} }

func (p *Policy) finish(w *writer) []byte {
	w.close()
	p.document = w.b
	return p.document
}

// mechanism returns the id of a mechanism.
func (p *Policy) mechanism(name string) (id uint32, ok bool) {
	i := slices.Index(p.init.Mechanisms, name)
	return uint32(i), i >= 0
}
