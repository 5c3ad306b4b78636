package wasmabi

import "math"

// EntryKind says which field of an [Entry] holds its value.
type EntryKind uint8

// The kinds.
const (
	EntryInt EntryKind = iota
	EntryFloat
	EntryBool
	EntryText
	EntryBytes
	EntryFloats
)

// Entry is one named value of a context.
type Entry struct {
	Key    string
	Kind   EntryKind
	Int    int64
	Float  float64
	Bool   bool
	Text   string
	Bytes  []byte
	Floats []float64
}

// MaxEntries bounds the entries of a context.
const MaxEntries = 1024

// A context is the guest's own bytes, and the host keeps them without looking. The SDKs write a CBOR map in this
// form all the same, so that tools can show it to people and one SDK can read what another one wrote.

// AppendContext appends the encoded entries to dst and sorts them by key. Keys must differ and be at most 64 bytes.
func AppendContext(dst []byte, entries []Entry) []byte {
	sortEntries(entries)
	dst = appendHead(dst, majorMap, uint64(len(entries)))
	for i := range entries {
		dst = appendEntry(appendText(dst, entries[i].Key), &entries[i])
	}
	return dst
}

// sortEntries is an insertion sort: contexts are small and mostly sorted already, and package sort is not for free
// in a guest.
func sortEntries(e []Entry) {
	for i := 1; i < len(e); i++ {
		for j := i; j > 0 && keyLess(e[j].Key, e[j-1].Key); j-- {
			e[j], e[j-1] = e[j-1], e[j]
		}
	}
}

func appendEntry(b []byte, e *Entry) []byte {
	switch e.Kind {
	case EntryFloat:
		if e.Float != e.Float {
			return append(b, float16Head, 0x7e, 0)
		}
		return appendFloat(b, e.Float)
	case EntryBool:
		return appendBool(b, e.Bool)
	case EntryText:
		return appendText(b, e.Text)
	case EntryBytes:
		return appendBytes(b, e.Bytes)
	case EntryFloats:
		return appendFloat64s(b, e.Floats)
	}
	return appendInt(b, e.Int)
}

// DecodeContext decodes b and appends its entries to dst. Texts and bytes alias b. No bytes at all are no entries.
func DecodeContext(b []byte, dst []Entry) ([]Entry, error) {
	if len(b) == 0 {
		return dst, nil
	}
	r := reader{b: b, message: "context", alias: true}
	k := r.keys()
	if k.left > MaxEntries {
		r.fail("more than " + decimal(MaxEntries) + " entries")
	}
	for k.next() {
		dst = append(dst, Entry{Key: k.key})
		r.entry(&dst[len(dst)-1])
	}
	return dst, r.finish()
}

func (r *reader) entry(e *Entry) {
	if r.at == len(r.b) {
		r.fail("message ends too early")
		return
	}
	switch first := r.b[r.at]; {
	case first>>5<<5 == majorUint || first>>5<<5 == majorInt:
		e.Kind, e.Int = EntryInt, r.int64()
	case first>>5<<5 == majorText:
		e.Kind, e.Text = EntryText, r.text(MaxContext)
	case first>>5<<5 == majorBytes:
		e.Kind, e.Bytes = EntryBytes, r.bytes(MaxContext)
	case first>>5<<5 == majorTag:
		e.Kind, e.Floats = EntryFloats, r.float64s(nil, MaxContext/8)
	case first&^1 == simpleFalse:
		e.Kind, e.Bool = EntryBool, r.bool()
	case first == float16Head && len(r.b)-r.at >= 3 && r.b[r.at+1] == 0x7e && r.b[r.at+2] == 0:
		e.Kind, e.Float = EntryFloat, math.NaN()
		r.at += 3
	default:
		e.Kind, e.Float = EntryFloat, r.float()
	}
}
