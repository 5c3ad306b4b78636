package codec

import (
	"math"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// senMLVersion is the highest version of SenML that is understood (RFC 8428 §4.4).
const senMLVersion = 10

// pack is what resolves the records of a SenML pack: names and times build on bases of earlier records (RFC 8428 §4.6).
type pack struct {
	base      [maxName]byte // bn
	baseLen   int
	baseTime  float64
	baseValue lwm2m.Value
	records   int
	told      bool // any record was added

	// of the record at hand
	name                       []byte // n
	time                       float64
	value                      lwm2m.Value
	hasName, hasBase, hasValue bool
}

// maxName is longer than any path in text.
const maxName = 64

// relative is the time below which one counts from now (RFC 8428 §4.5.3).
const relative = 1 << 28

// begin clears the record at hand.
func (p *pack) begin() {
	p.name, p.time, p.value = nil, 0, lwm2m.Value{}
	p.hasName, p.hasBase, p.hasValue = false, false, false
}

// setBase takes bn; a longer one than a path can be is kept as one that no path begins with.
func (p *pack) setBase(name []byte) {
	p.hasBase = true
	if len(name) > maxName {
		name = []byte("?")
	}
	p.baseLen = copy(p.base[:], name)
}

// setValue takes the value of one of the labels v, vs, vb, vd and vlo, of which a record has one.
func (p *pack) setValue(v lwm2m.Value) (ok bool) {
	ok = !p.hasValue
	p.value, p.hasValue = v, true
	return ok
}

// end adds the record at hand to the tree.
func (b *builder) endRecord(p *pack, at int) {
	p.records++
	if !p.hasName && !p.hasValue && !(b.paths && p.baseIsPath()) { // only bases; they may be all there is
		return
	}
	path, ok := p.path()
	if !ok {
		b.fail(CodePath, at, "the name of a record is no path")
		return
	}
	v, ok := p.sum()
	if !ok {
		b.fail(CodeMalformed, at, "a base value is for numbers")
		return
	}
	t, ok := b.resolve(p)
	if !ok {
		b.fail(CodeMalformed, at, "a time is out of range")
		return
	}
	p.told = true
	b.addAt(path, v, t, at)
}

// endPack adds what a pack of nothing but a base name says: an empty instance.
func (b *builder) endPack(p *pack) {
	if b.err != nil || p.told || p.records == 0 {
		return
	}
	p.begin()
	path, ok := p.path()
	if !ok {
		b.fail(CodePath, 0, "the base name is no path")
		return
	}
	b.add(path, lwm2m.Value{})
}

// baseIsPath reports whether the record at hand gives a base name that is no mere beginning.
func (p *pack) baseIsPath() bool {
	return p.hasBase && p.baseLen > 0 && p.base[p.baseLen-1] != '/'
}

func (p *pack) path() (lwm2m.Path, bool) {
	if p.baseLen+len(p.name) > maxName {
		return lwm2m.Path{}, false
	}
	n := p.baseLen + copy(p.base[p.baseLen:], p.name)
	return lwm2m.ParsePathBytes(p.base[:n])
}

// sum adds the base value.
func (p *pack) sum() (lwm2m.Value, bool) {
	switch {
	case p.baseValue.IsNone():
		return p.value, true
	case p.value.IsNone() && p.baseValue.Kind().Numeric():
		return p.baseValue, true
	case !p.value.Kind().Numeric():
		return p.value, false
	}
	base, baseWhole := whole(p.baseValue)
	v, valueWhole := whole(p.value)
	switch {
	case baseWhole && valueWhole && (v >= 0) == (base+v >= base) && p.value.Kind() != lwm2m.KindFloat:
		return lwm2m.Integer(base + v), true
	default:
		return lwm2m.Float(p.baseValue.Float() + p.value.Float()), true
	}
}

// resolve returns the time of the record at hand, the zero one if none is told.
func (b *builder) resolve(p *pack) (time.Time, bool) {
	const mostSeconds = 253402300799 // the end of the year 9999
	s := p.baseTime + p.time
	switch {
	case s == 0:
		return time.Time{}, true
	case !(math.Abs(s) <= mostSeconds):
		return time.Time{}, false
	case s < relative:
		return b.clock().Add(time.Duration(s * float64(time.Second))).UTC(), math.Abs(s) < relative
	}
	whole, fraction := math.Modf(s)
	return time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1000).UTC(), true
}

func (b *builder) clock() time.Time {
	if b.now == nil {
		return time.Now()
	}
	return b.now()
}

// senMLLayout is what both encodings write: the base name, and the base time if all records share one.
type senMLLayout struct {
	buffer [maxName]byte
	length int // of the base name
	shared time.Time
}

func layout(base lwm2m.Path, t lwm2m.Tree) (l senMLLayout) {
	deeper, same := len(t) > 0, len(t) > 0
	for _, r := range t {
		deeper = deeper && r.Path.Depth() > base.Depth()
		same = same && r.Time.Equal(t[0].Time)
	}
	if same {
		l.shared = t[0].Time
	}
	if base.Depth() == 0 {
		return l
	}
	l.length = len(base.Append(l.buffer[:0]))
	if deeper {
		l.buffer[l.length] = '/'
		l.length++
	}
	return l
}

// base is the base name.
func (l *senMLLayout) base() []byte { return l.buffer[:l.length] }

// name appends a record's name: its path without the base name.
func (l *senMLLayout) name(dst []byte, p lwm2m.Path) []byte {
	n := len(dst)
	dst = p.Append(dst)
	return append(dst[:n], dst[n+l.length:]...)
}

// own returns the time that a record has to write itself.
func (l *senMLLayout) own(r lwm2m.Record) (t time.Time, ok bool) {
	return r.Time, !r.Time.IsZero() && l.shared.IsZero()
}

// timed checks that the times of a tree can be told: those before 1978 would count from now.
func timed(f lwm2m.Format, t lwm2m.Tree) error {
	for _, r := range t {
		if !r.Time.IsZero() && r.Time.Unix() < relative {
			return cannotEncode(f, r.Path, "a time before July 1978 cannot be told")
		}
	}
	return nil
}
