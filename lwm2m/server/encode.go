package server

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// What is stored begins with the version of its form.
const storedVersion = 1

var errStored = errors.New("read what is stored of a device: malformed")

// encoder appends fields; decoder reads them back in the same order.
type encoder struct{ b []byte }

func newEncoder() *encoder { return &encoder{b: append(make([]byte, 0, 256), storedVersion)} }

func (e *encoder) byte(v byte)     { e.b = append(e.b, v) }
func (e *encoder) number(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) fixed(v uint64)  { e.b = binary.BigEndian.AppendUint64(e.b, v) }
func (e *encoder) text(s string)   { e.number(uint64(len(s))); e.b = append(e.b, s...) }

func (e *encoder) path(p lwm2m.Path) {
	e.byte(byte(p.Depth()))
	for level := range p.Depth() {
		e.b = binary.BigEndian.AppendUint16(e.b, p.ID(level))
	}
}

func (e *encoder) paths(all []lwm2m.Path) {
	e.number(uint64(len(all)))
	for _, p := range all {
		e.path(p)
	}
}

func (e *encoder) address(a netip.AddrPort) {
	b, _ := a.MarshalBinary() // which does not fail
	e.text(string(b))
}

func (e *encoder) peer(p coap.Peer) {
	e.text(p.Transport)
	e.address(p.Remote)
	e.address(p.Local)
	e.fixed(p.Association)
	e.text(p.Identity)
}

func (e *encoder) record(r lwm2m.Record) {
	e.path(r.Path)
	e.byte(byte(r.Value.Kind()))
	switch v := r.Value; v.Kind() {
	case lwm2m.KindInteger, lwm2m.KindTime:
		e.fixed(uint64(v.Integer()))
	case lwm2m.KindUnsigned:
		e.fixed(v.Unsigned())
	case lwm2m.KindFloat:
		e.fixed(math.Float64bits(v.Float()))
	case lwm2m.KindBoolean:
		if v.Boolean() {
			e.fixed(1)
		} else {
			e.fixed(0)
		}
	case lwm2m.KindObjectLink:
		object, instance := v.ObjectLink()
		e.fixed(uint64(object)<<16 | uint64(instance))
	default:
		e.text(v.Text())
	}
	e.fixed(uint64(unixNano(r.Time)))
}

func unixNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

type decoder struct {
	b   []byte
	bad bool
}

func newDecoder(b []byte) *decoder {
	d := &decoder{b: b}
	d.bad = d.byte() != storedVersion
	return d
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.b)
	if d.bad || size <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) fixed() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// bytes are as long as the stored value, until the next field is read.
func (d *decoder) bytes() []byte { return d.take(int(min(d.number(), math.MaxInt32))) }
func (d *decoder) text() string  { return string(d.bytes()) }

// count reads how many of something follow, each of at least a byte.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) path() lwm2m.Path {
	var p lwm2m.Path
	depth := d.byte()
	if depth > lwm2m.MaxDepth {
		d.bad = true
		return p
	}
	for range depth {
		if b := d.take(2); b != nil {
			p = p.Child(binary.BigEndian.Uint16(b))
		}
	}
	return p
}

func (d *decoder) paths() []lwm2m.Path {
	var all []lwm2m.Path
	for range d.count() {
		all = append(all, d.path())
	}
	return all
}

func (d *decoder) address() (a netip.AddrPort) {
	if a.UnmarshalBinary(d.bytes()) != nil {
		d.bad = true
	}
	return a
}

func (d *decoder) peer() coap.Peer {
	return coap.Peer{Transport: d.text(), Remote: d.address(), Local: d.address(), Association: d.fixed(), Identity: d.text()}
}

func (d *decoder) record() lwm2m.Record {
	r := lwm2m.Record{Path: d.path(), Value: d.value()}
	if nanoseconds := d.fixed(); nanoseconds != 0 {
		r.Time = time.Unix(0, int64(nanoseconds)).UTC()
	}
	return r
}

func (d *decoder) value() lwm2m.Value {
	switch lwm2m.Kind(d.byte()) {
	case lwm2m.KindInteger:
		return lwm2m.Integer(int64(d.fixed()))
	case lwm2m.KindTime:
		return lwm2m.TimeSeconds(int64(d.fixed()))
	case lwm2m.KindUnsigned:
		return lwm2m.Unsigned(d.fixed())
	case lwm2m.KindFloat:
		return lwm2m.Float(math.Float64frombits(d.fixed()))
	case lwm2m.KindBoolean:
		return lwm2m.Boolean(d.fixed() != 0)
	case lwm2m.KindObjectLink:
		both := d.fixed()
		return lwm2m.ObjectLink(uint16(both>>16), uint16(both))
	case lwm2m.KindString:
		return lwm2m.String(d.text())
	case lwm2m.KindOpaque:
		return lwm2m.OpaqueString(d.text())
	case lwm2m.KindCoreLink:
		return lwm2m.CoreLink(d.text())
	default:
		d.bytes()
		return lwm2m.Value{}
	}
}

func (d *decoder) err() error {
	if d.bad || len(d.b) > 0 {
		return errStored
	}
	return nil
}

func (d *device) encode() []byte {
	e := newEncoder()
	e.fixed(d.id)
	e.byte(d.version.Major)
	e.byte(d.version.Minor)
	e.byte(byte(d.flags & queueMode))
	e.number(uint64(d.lifetime))
	e.fixed(uint64(d.registered))
	e.peer(d.peer)
	e.text(d.binding)
	e.text(d.sms)
	e.text(d.links.document)
	return e.b
}

// decodeRegistration reads what encode has made, but for the links, which it returns.
func (d *device) decodeRegistration(b []byte) (links []byte, err error) {
	r := newDecoder(b)
	d.id = r.fixed()
	d.version = lwm2m.Version{Major: r.byte(), Minor: r.byte()}
	d.flags = flags(r.byte()) & queueMode
	d.lifetime = uint32(r.number())
	d.registered = int64(r.fixed())
	d.peer = r.peer()
	if d.peer.Identity == d.endpoint {
		d.peer.Identity = d.endpoint
	}
	d.binding, d.sms = internBinding(r.text()), r.text()
	links = r.bytes()
	return links, r.err()
}

func encodeObservations(all []*observation) []byte {
	e := newEncoder()
	e.number(uint64(len(all)))
	for _, o := range all {
		e.fixed(o.token)
		e.fixed(o.under)
		e.path(o.path)
		e.paths(o.paths)
	}
	return e.b
}

func decodeObservations(b []byte) ([]*observation, error) {
	d := newDecoder(b)
	var all []*observation
	for range d.count() {
		all = append(all, &observation{token: d.fixed(), under: d.fixed(), path: d.path(), paths: d.paths()})
	}
	return all, d.err()
}

func encodeAttributes(all []wantedAttributes) []byte {
	e := newEncoder()
	e.number(uint64(len(all)))
	for _, w := range all {
		e.path(w.path)
		e.text(w.attributes.String())
	}
	return e.b
}

func decodeAttributes(b []byte) ([]wantedAttributes, error) {
	d := newDecoder(b)
	var all []wantedAttributes
	for range d.count() {
		w := wantedAttributes{path: d.path()}
		var err error
		if w.attributes, err = lwm2m.ParseAttributes(strings.Split(d.text(), "&")); err != nil {
			return nil, errStored
		}
		all = append(all, w)
	}
	return all, d.err()
}

func (j *job) encode() []byte {
	e := newEncoder()
	r := j.request
	e.fixed(uint64(j.deadline))
	e.byte(byte(r.Operation))
	e.path(r.Path)
	e.paths(r.Paths)
	e.number(uint64(len(r.Tree)))
	for _, record := range r.Tree {
		e.record(record)
	}
	e.text(r.Arguments)
	e.text(r.Attributes.String())
	e.fixed(uint64(r.Observation))
	if r.Depth > 0 { // which was not stored always
		e.byte(r.Depth)
	}
	return e.b
}

func decodeJob(b []byte) (*job, error) {
	d := newDecoder(b)
	r := new(Request)
	j := &job{request: r, durable: true, deadline: int64(d.fixed()), size: len(b)}
	r.Operation, r.Path, r.Paths = Operation(d.byte()), d.path(), d.paths()
	for range d.count() {
		r.Tree = append(r.Tree, d.record())
	}
	r.Arguments = d.text()
	if attributes := d.text(); attributes != "" {
		var err error
		if r.Attributes, err = lwm2m.ParseAttributes(strings.Split(attributes, "&")); err != nil {
			return nil, errStored
		}
	}
	r.Observation = ObservationID(d.fixed())
	if len(d.b) > 0 {
		r.Depth = d.byte()
	}
	return j, d.err()
}
