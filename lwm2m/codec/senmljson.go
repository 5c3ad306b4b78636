package codec

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
)

// senMLJSON decodes a SenML pack in JSON (Core 1.2 §7.5.4, RFC 8428 §5).
func (b *builder) senMLJSON(payload []byte) {
	r := jsonReader{b: payload}
	var p pack
	r.list('[', ']', "a pack is an array", func() {
		at := r.at
		p.begin()
		r.members("a record is an object", func(label string) { p.jsonField(&r, label) })
		if r.problem == "" {
			b.endRecord(&p, at)
		}
		if b.err != nil {
			r.fail("")
		}
	})
	r.end()
	if r.problem != "" {
		b.fail(CodeMalformed, r.failed, r.problem)
	}
	b.endPack(&p)
}

func (p *pack) jsonField(r *jsonReader, label string) {
	ok := true
	switch label {
	case "bver":
		if r.number("the version is a number") > senMLVersion {
			r.fail("a newer version of SenML")
		}
	case "bn":
		p.setBase([]byte(r.text("a base name is text")))
	case "bt":
		p.baseTime = r.number("a base time is a number")
	case "bv":
		p.baseValue = lwm2m.Float(r.number("a base value is a number"))
	case "n":
		p.name, p.hasName = []byte(r.text("a name is text")), true
	case "t":
		p.time = r.number("a time is a number")
	case "v":
		ok = p.setValue(r.value("v is a number"))
	case "vs":
		ok = p.setValue(lwm2m.String(r.text("vs is text")))
	case "vb":
		ok = p.setValue(r.boolean())
	case "vd":
		ok = p.setValue(r.base64("vd is base64 in text"))
	case "vlo":
		ok = p.setValue(r.objectLink())
	default:
		if strings.HasSuffix(label, "_") {
			r.fail("a field that has to be understood and is not")
		}
		r.skip(0)
	}
	if !ok && r.problem == "" {
		r.fail("a record with two values")
	}
}

func (r *jsonReader) base64(problem string) lwm2m.Value {
	bytes, ok := decodeBase64(r.text(problem))
	if !ok {
		r.fail(problem)
	}
	return lwm2m.Opaque(bytes)
}

func (r *jsonReader) objectLink() lwm2m.Value {
	link, err := lwm2m.ParseValue(lwm2m.KindObjectLink, r.text("an object link is text"))
	if err != nil && r.problem == "" {
		r.fail("an object link is two numbers, as in 9:3")
	}
	return link
}

func appendSenMLJSON(dst []byte, base lwm2m.Path, t lwm2m.Tree) ([]byte, error) {
	if err := timed(lwm2m.FormatSenMLJSON, t); err != nil {
		return dst, err
	}
	for _, r := range t {
		if f := r.Value.Float(); r.Value.Kind() == lwm2m.KindFloat && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return dst, cannotEncode(lwm2m.FormatSenMLJSON, r.Path, "JSON has no infinity and no NaN")
		}
		if r.Value.Kind() != lwm2m.KindOpaque && !utf8.ValidString(r.Value.Text()) {
			return dst, cannotEncode(lwm2m.FormatSenMLJSON, r.Path, "the text is not UTF-8")
		}
	}
	l := layout(base, t)
	dst = append(dst, '[')
	for i, r := range t {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(l.appendJSON(append(dst, '{'), i == 0, r), '}')
	}
	return append(dst, ']'), nil
}

func (l *senMLLayout) appendJSON(dst []byte, first bool, r lwm2m.Record) []byte {
	start := len(dst)
	label := func(name string) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), name...), '"', ':')
	}
	var buffer [maxName]byte
	if first && l.length > 0 {
		label("bn")
		dst = append(append(append(dst, '"'), l.base()...), '"')
	}
	if first && !l.shared.IsZero() {
		label("bt")
		dst = appendJSONTime(dst, l.shared)
	}
	if name := l.name(buffer[:0], r.Path); len(name) > 0 {
		label("n")
		dst = append(append(append(dst, '"'), name...), '"')
	}
	if t, ok := l.own(r); ok {
		label("t")
		dst = appendJSONTime(dst, t)
	}
	if name := jsonLabels[r.Value.Kind()]; name != "" {
		label(name)
		dst = appendJSONValue(dst, r.Value)
	}
	return dst
}

var jsonLabels = [...]string{
	lwm2m.KindNone: "", lwm2m.KindString: "vs", lwm2m.KindInteger: "v", lwm2m.KindUnsigned: "v", lwm2m.KindFloat: "v", lwm2m.KindBoolean: "vb",
	lwm2m.KindOpaque: "vd", lwm2m.KindTime: "v", lwm2m.KindObjectLink: "vlo", lwm2m.KindCoreLink: "vs",
}

func appendJSONValue(dst []byte, v lwm2m.Value) []byte {
	switch v.Kind() {
	case lwm2m.KindString, lwm2m.KindCoreLink:
		return appendJSONString(dst, v.Text())
	case lwm2m.KindOpaque:
		return append(base64.RawURLEncoding.AppendEncode(append(dst, '"'), []byte(v.Text())), '"')
	case lwm2m.KindObjectLink:
		return append(v.Append(append(dst, '"')), '"')
	case lwm2m.KindBoolean:
		return strconv.AppendBool(dst, v.Boolean())
	case lwm2m.KindFloat:
		return appendJSONFloat(dst, v.Float())
	default:
		return v.Append(dst)
	}
}

func appendJSONFloat(dst []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

func appendJSONTime(dst []byte, t time.Time) []byte {
	micro := t.Nanosecond() / 1000
	if micro == 0 {
		return strconv.AppendInt(dst, t.Unix(), 10)
	}
	return strconv.AppendFloat(dst, float64(t.UnixMicro())/1e6, 'f', 6, 64)
}
