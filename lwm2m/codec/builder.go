package codec

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// builder collects the records of one payload. The first failure sticks.
type builder struct {
	tree   lwm2m.Tree
	start  int // of the records of this payload
	base   lwm2m.Path
	types  Types
	now    func() time.Time
	format lwm2m.Format
	paths  bool // the payload lists paths: a base name alone is one
	err    error
}

// add appends a record that tells no time.
func (b *builder) add(p lwm2m.Path, v lwm2m.Value) { b.addAt(p, v, time.Time{}, 0) }

// addAt appends a record with its value brought to the type of the resource; offset is for the failure's text.
func (b *builder) addAt(p lwm2m.Path, v lwm2m.Value, t time.Time, offset int) {
	switch {
	case b.err != nil:
		return
	case len(b.tree)-b.start == MaxRecords:
		b.fail(CodeTooLarge, offset, "there are too many records")
		return
	case !b.base.Contains(p):
		b.fail(CodePath, offset, p.String()+" does not lie below "+b.base.String())
		return
	case !v.IsNone() && p.Depth() < 3:
		b.fail(CodePath, offset, p.String()+" is no resource and cannot have a value")
		return
	}
	if kind, _, known := b.kind(p); known && !v.IsNone() {
		converted, ok := convert(v, kind)
		if !ok {
			b.fail(CodeType, offset, p.String()+" is of type "+kind.String()+", which "+v.String()+" is not")
			return
		}
		v = converted
	}
	b.tree = append(b.tree, lwm2m.Record{Path: p, Value: v, Time: t})
}

func (b *builder) kind(p lwm2m.Path) (kind lwm2m.Kind, multiple, known bool) {
	if b.types == nil || p.Depth() < 3 {
		return lwm2m.KindNone, false, false
	}
	kind, multiple, known = b.types.Kind(p)
	return kind, multiple, known && kind != lwm2m.KindNone
}

// convert brings a value from the few types that a payload tells apart to the type of the resource, if nothing is lost
// by it.
func convert(v lwm2m.Value, kind lwm2m.Kind) (lwm2m.Value, bool) {
	if v.Kind() == kind {
		return v, true
	}
	switch kind {
	case lwm2m.KindInteger:
		i, ok := whole(v)
		return lwm2m.Integer(i), ok
	case lwm2m.KindTime:
		i, ok := seconds(v)
		return lwm2m.TimeSeconds(i), ok
	case lwm2m.KindUnsigned:
		i, ok := whole(v)
		return lwm2m.Unsigned(uint64(i)), ok && i >= 0
	case lwm2m.KindFloat:
		return lwm2m.Float(v.Float()), v.Kind() == lwm2m.KindInteger || v.Kind() == lwm2m.KindUnsigned
	case lwm2m.KindBoolean:
		i, ok := whole(v)
		return lwm2m.Boolean(i == 1), ok && (i == 0 || i == 1)
	case lwm2m.KindCoreLink:
		return lwm2m.CoreLink(v.Text()), v.Kind() == lwm2m.KindString
	case lwm2m.KindObjectLink:
		link, err := lwm2m.ParseValue(lwm2m.KindObjectLink, v.Text())
		return link, v.Kind() == lwm2m.KindString && err == nil
	case lwm2m.KindString:
		return lwm2m.String(v.Text()), v.Kind() == lwm2m.KindCoreLink
	default:
		return lwm2m.Value{}, false
	}
}

// whole returns the number of a value that is a whole one within 64 bits.
func whole(v lwm2m.Value) (i int64, ok bool) {
	switch v.Kind() {
	case lwm2m.KindInteger, lwm2m.KindTime:
		return v.Integer(), true
	case lwm2m.KindUnsigned:
		return v.Integer(), v.Unsigned() <= math.MaxInt64
	case lwm2m.KindFloat:
		f := v.Float()
		return int64(f), f == math.Trunc(f) && math.Abs(f) < 1<<63
	default:
		return 0, false
	}
}

// seconds is whole for a time, of which SenML may tell fractions.
func seconds(v lwm2m.Value) (int64, bool) {
	if v.Kind() == lwm2m.KindFloat {
		v = lwm2m.Float(math.Floor(v.Float()))
	}
	return whole(v)
}
