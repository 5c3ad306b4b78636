package decision

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgehold/edgehold/agents"
)

// row is a decision as the table has it. The body is the decision without its
// record, as a CBOR map by field name, so that later releases may add fields.
type row struct {
	id, policy, asset, outcome string
	class                      Class
	time                       int64 // Unix nanoseconds
	bytes                      int
	body, record               []byte
	knobs                      []knob
}

type knob struct{ mechanism, knob string }

var (
	encMode = mustEnc(cbor.EncOptions{Time: cbor.TimeRFC3339NanoUTC, ShortestFloat: cbor.ShortestFloat16})
	decMode = mustDec(cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: 16, MaxArrayElements: 65536, MaxMapPairs: 1024,
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		UTF8: cbor.UTF8DecodeInvalid, // a name that is no text must not make a decision unreadable
	})
)

func mustEnc(o cbor.EncOptions) cbor.EncMode {
	m, err := o.EncMode()
	if err != nil {
		panic(err)
	}
	return m
}

func mustDec(o cbor.DecOptions) cbor.DecMode {
	m, err := o.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

func (l *Log) encodeAll(ds []agents.Decision) ([]row, error) {
	rows := make([]row, len(ds))
	for i, d := range ds {
		var err error
		if rows[i], err = l.encode(d); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (l *Log) encode(d agents.Decision) (row, error) {
	r := row{
		id: d.ID, policy: d.Key.Policy, asset: string(d.Key.Asset), outcome: string(d.Outcome), class: classOf(d.Outcome),
		time: d.Time.UnixNano(), record: d.Record, knobs: knobsOf(d),
	}
	if len(r.record) > l.o.MaxRecord {
		l.o.Logger.Warn("episode is not kept for replay: it is too long", "decision", d.ID, "bytes", len(r.record))
		r.record = nil
	}
	d.Record, d.Repeated = nil, 0
	body, err := encMode.Marshal(d)
	if err != nil {
		return r, fmt.Errorf("encode decision %s: %w", d.ID, err)
	}
	r.body, r.bytes = body, len(body)+len(r.record)
	return r, nil
}

func decode(body []byte) (d agents.Decision, err error) {
	err = decMode.Unmarshal(body, &d)
	return d, err
}

func knobsOf(d agents.Decision) []knob {
	if d.Plan == nil {
		return nil
	}
	ks := make([]knob, 0, len(d.Plan.Actions))
	for _, a := range d.Plan.Actions {
		ks = append(ks, knob{a.Mechanism, a.Knob})
	}
	return ks
}
