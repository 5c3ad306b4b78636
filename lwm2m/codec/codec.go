package codec

import (
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// Limits of one payload. Its length is for the transport to bound.
const (
	MaxRecords = 1 << 15
	MaxPaths   = 1 << 10 // of a composite operation
)

// Types tells the type of a resource, or of a resource instance, by the model of a device; model.View is one.
type Types interface {
	Kind(p lwm2m.Path) (kind lwm2m.Kind, multiple, ok bool)
}

// Decoder turns payloads into trees.
type Decoder struct {
	Types Types            // nil: nothing is known; values have the type that their bytes suggest
	Now   func() time.Time // resolves times that are relative (RFC 8428 §4.5.3); nil: time.Now
}

// Decode turns the payload of a message about a path into a tree, in order. What the payload says has to lie below the
// path; for Send and for composite operations that is the zero Path. A type that Types does not know is guessed.
func Decode(f lwm2m.Format, base lwm2m.Path, payload []byte, types Types) (lwm2m.Tree, error) {
	return Decoder{Types: types}.Decode(nil, f, base, payload)
}

// Decode appends the records of a payload to a tree, which may be nil, and returns what it appended in order. The tree
// keeps nothing of the payload's memory.
func (d Decoder) Decode(dst lwm2m.Tree, f lwm2m.Format, base lwm2m.Path, payload []byte) (lwm2m.Tree, error) {
	b := builder{tree: dst, start: len(dst), base: base, types: d.Types, now: d.Now, format: f}
	switch f.Canonical() {
	case lwm2m.FormatText:
		b.text(payload)
	case lwm2m.FormatOpaque:
		b.add(base, lwm2m.Opaque(payload))
	case lwm2m.FormatCBOR:
		b.cbor(payload)
	case lwm2m.FormatTLV:
		b.tlv(payload)
	case lwm2m.FormatSenMLJSON:
		b.senMLJSON(payload)
	case lwm2m.FormatSenMLCBOR:
		b.senMLCBOR(payload)
	case lwm2m.FormatCBORTree:
		b.cborTree(payload)
	case lwm2m.FormatJSON:
		b.oldJSON(payload)
	default:
		return dst, unsupported("decode", f)
	}
	if b.err != nil {
		return dst, b.err
	}
	b.tree[b.start:].Sort()
	return b.tree, nil
}

// Append appends a tree in a format, as the payload of a message about a path; the tree has to be in order and to lie
// below the path. Formats of one value take a tree of one record.
func Append(dst []byte, f lwm2m.Format, base lwm2m.Path, t lwm2m.Tree) ([]byte, error) {
	if err := check(f, base, t); err != nil {
		return dst, err
	}
	switch f.Canonical() {
	case lwm2m.FormatText, lwm2m.FormatOpaque, lwm2m.FormatCBOR:
		return appendSingle(dst, f, base, t)
	case lwm2m.FormatTLV:
		return appendTLV(dst, base, t)
	case lwm2m.FormatSenMLJSON:
		return appendSenMLJSON(dst, base, t)
	case lwm2m.FormatSenMLCBOR:
		return appendSenMLCBOR(dst, base, t)
	case lwm2m.FormatCBORTree:
		return appendCBORTree(dst, t)
	default:
		return dst, unsupported("encode", f)
	}
}

func check(f lwm2m.Format, base lwm2m.Path, t lwm2m.Tree) error {
	for i, r := range t {
		switch {
		case !base.Contains(r.Path):
			return cannotEncode(f, r.Path, "it does not lie below "+base.String())
		case !r.Value.IsNone() && r.Path.Depth() < 3:
			return cannotEncode(f, r.Path, "only resources and their instances have values")
		case unnumbered(r.Path) && f.Canonical() != lwm2m.FormatTLV:
			return cannotEncode(f, r.Path, "only TLV has instances whose number the device is to choose")
		case r.Value.IsNone() && r.Path.Depth() == lwm2m.MaxDepth:
			return cannotEncode(f, r.Path, "a resource instance has a value, or is not there")
		case i > 0 && t[i-1].Path.Compare(r.Path) > 0:
			return cannotEncode(f, r.Path, "the records are not in order")
		}
	}
	return nil
}

// unnumbered reports whether a path goes through the reserved identifier, which stands for a number that is not chosen yet.
func unnumbered(p lwm2m.Path) bool {
	for level := range p.Depth() {
		if p.ID(level) == lwm2m.NoID {
			return true
		}
	}
	return false
}
