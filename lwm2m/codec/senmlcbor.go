package codec

import (
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// The labels of SenML in CBOR (RFC 8428 §6, table 4). LwM2M's "vlo" has none and is text (Core 1.2 §7.5.4).
const (
	labelBaseVersion = -1
	labelBaseName    = -2
	labelBaseTime    = -3
	labelBaseValue   = -5
	labelName        = 0
	labelValue       = 2
	labelString      = 3
	labelBoolean     = 4
	labelTime        = 6
	labelData        = 8
)

// senMLCBOR decodes a SenML pack in CBOR (Core 1.2 §7.5.4).
func (b *builder) senMLCBOR(payload []byte) {
	r := cborReader{b: payload}
	var p pack
	for records := r.items(cborArray, "a pack is an array"); records.next(&r) && b.err == nil; {
		at := r.at
		p.begin()
		for fields := r.items(cborMap, "a record is a map"); fields.next(&r); {
			p.cborField(&r)
		}
		if r.problem == "" {
			b.endRecord(&p, at)
		}
	}
	r.end()
	if r.problem != "" {
		b.fail(CodeMalformed, r.failed, r.problem)
	}
	b.endPack(&p)
}

// cborField reads one label and what it says.
func (p *pack) cborField(r *cborReader) {
	if major, _ := r.peek(); major == cborText {
		p.cborNamed(r)
		return
	}
	label, ok := r.value(), true
	switch label {
	case lwm2m.Integer(labelBaseVersion):
		if r.number("the version is no number") > senMLVersion {
			r.fail("a newer version of SenML")
		}
	case lwm2m.Integer(labelBaseName):
		p.setBase(r.text("a base name is text"))
	case lwm2m.Integer(labelBaseTime):
		p.baseTime = r.number("a base time is a number")
	case lwm2m.Integer(labelBaseValue):
		p.baseValue = lwm2m.Float(r.number("a base value is a number"))
	case lwm2m.Integer(labelName):
		p.name, p.hasName = r.text("a name is text"), true
	case lwm2m.Integer(labelTime):
		p.time = r.number("a time is a number")
	case lwm2m.Integer(labelValue), lwm2m.Integer(labelString), lwm2m.Integer(labelBoolean), lwm2m.Integer(labelData):
		ok = p.cborValue(r, label.Integer())
	default:
		if label.Kind() != lwm2m.KindInteger {
			r.fail("a label is neither a number nor text")
		}
		r.skip(0)
	}
	if !ok && r.problem == "" {
		r.fail("a record with a value of another type than its label says, or with two")
	}
}

func (p *pack) cborValue(r *cborReader, label int64) bool {
	v := r.value()
	fits := false
	switch label {
	case labelValue:
		fits = v.Kind().Numeric()
	case labelString:
		fits = v.Kind() == lwm2m.KindString
	case labelBoolean:
		fits = v.Kind() == lwm2m.KindBoolean
	case labelData:
		fits = v.Kind() == lwm2m.KindOpaque
	}
	return p.setValue(v) && fits
}

// cborNamed reads a field whose label is text: "vlo", or one that is not known. Those that end in an underscore must be
// understood (RFC 8428 §4.4).
func (p *pack) cborNamed(r *cborReader) {
	name := r.text("")
	if string(name) != "vlo" {
		if len(name) > 0 && name[len(name)-1] == '_' {
			r.fail("a field that has to be understood and is not")
		}
		r.skip(0)
		return
	}
	link, err := lwm2m.ParseValue(lwm2m.KindObjectLink, string(r.text("an object link is text")))
	if r.problem == "" && (err != nil || !p.setValue(link)) {
		r.fail("an object link is two numbers, as in 9:3")
	}
}

func appendSenMLCBOR(dst []byte, base lwm2m.Path, t lwm2m.Tree) ([]byte, error) {
	if err := timed(lwm2m.FormatSenMLCBOR, t); err != nil {
		return dst, err
	}
	l := layout(base, t)
	dst = appendCBORHead(dst, cborArray, uint64(len(t)))
	for i, r := range t {
		dst = l.appendCBOR(dst, i == 0, r)
	}
	return dst, nil
}

func (l *senMLLayout) appendCBOR(dst []byte, first bool, r lwm2m.Record) []byte {
	var buffer [maxName]byte
	name := l.name(buffer[:0], r.Path)
	t, timed := l.own(r)
	fields := count(first && l.length > 0, first && !l.shared.IsZero(), timed, len(name) > 0, !r.Value.IsNone())
	dst = appendCBORHead(dst, cborMap, fields)
	if first && l.length > 0 {
		dst = appendCBORName(appendCBORInteger(dst, labelBaseName), l.base())
	}
	if first && !l.shared.IsZero() {
		dst = appendCBORTime(appendCBORInteger(dst, labelBaseTime), l.shared)
	}
	if len(name) > 0 {
		dst = appendCBORName(appendCBORInteger(dst, labelName), name)
	}
	if timed {
		dst = appendCBORTime(appendCBORInteger(dst, labelTime), t)
	}
	return appendSenMLValue(dst, r.Value)
}

func count(told ...bool) (n uint64) {
	for _, t := range told {
		if t {
			n++
		}
	}
	return n
}

// appendSenMLValue appends the label and the value. In SenML a time is a number like others.
func appendSenMLValue(dst []byte, v lwm2m.Value) []byte {
	switch v.Kind() {
	case lwm2m.KindNone:
		return dst
	case lwm2m.KindObjectLink:
		return appendCBORLink(appendCBORText(dst, "vlo"), v)
	case lwm2m.KindBoolean:
		dst = appendCBORInteger(dst, labelBoolean)
	case lwm2m.KindOpaque:
		dst = appendCBORInteger(dst, labelData)
	case lwm2m.KindString, lwm2m.KindCoreLink:
		dst = appendCBORInteger(dst, labelString)
	default:
		dst = appendCBORInteger(dst, labelValue)
	}
	return appendCBORPlain(dst, v)
}

// appendCBORTime appends a time to the microsecond, which is what a float holds.
func appendCBORTime(dst []byte, t time.Time) []byte {
	if t.Nanosecond()/1000 == 0 {
		return appendCBORInteger(dst, t.Unix())
	}
	return appendCBORFloat(dst, float64(t.UnixMicro())/1e6)
}
