package codec

import (
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// cborTree decodes LwM2M CBOR (Core 1.2 §7.5.7): maps in maps whose keys are identifiers, from the object down. A key
// that is an array stands for several levels at once, as in {[3, 0]: {0: "Acme"}}.
func (b *builder) cborTree(payload []byte) {
	r := cborReader{b: payload}
	b.cborNode(&r, lwm2m.Path{})
	r.end()
	if r.problem != "" {
		b.fail(CodeMalformed, r.failed, r.problem)
	}
}

// cborNode decodes what is below a path. It goes no deeper than paths do, since each key adds a level.
func (b *builder) cborNode(r *cborReader, p lwm2m.Path) {
	at := r.at
	major, ok := r.peek()
	if !ok || major != cborMap {
		if v := r.value(); r.problem == "" {
			b.addAt(p, v, time.Time{}, at)
		}
		return
	}
	entries := r.items(cborMap, "")
	empty := true
	for entries.next(r) && b.err == nil {
		empty = false
		if child, ok := cborKey(r, p); ok {
			b.cborNode(r, child)
		}
	}
	if empty && r.problem == "" && p.Depth() > 0 {
		b.addAt(p, lwm2m.Value{}, time.Time{}, at)
	}
}

// cborKey reads the identifiers of a key and returns the path that they lead to.
func cborKey(r *cborReader, p lwm2m.Path) (child lwm2m.Path, ok bool) {
	start := p.Depth()
	if major, _ := r.peek(); major != cborArray {
		p = cborID(r, p)
		return p, r.problem == ""
	}
	for ids := r.items(cborArray, ""); ids.next(r); {
		p = cborID(r, p)
	}
	if r.problem == "" && p.Depth() == start {
		r.fail("a key is an empty array")
	}
	return p, r.problem == ""
}

func cborID(r *cborReader, p lwm2m.Path) lwm2m.Path {
	at := r.at
	major, id, _ := r.head()
	switch {
	case r.problem != "":
	case major != cborUnsigned || id >= lwm2m.NoID:
		r.at = at
		r.fail("a key is no identifier")
	case p.Depth() == lwm2m.MaxDepth:
		r.at = at
		r.fail("there is nothing below a resource instance")
	default:
		return p.Child(uint16(id))
	}
	return p
}

func appendCBORTree(dst []byte, t lwm2m.Tree) ([]byte, error) {
	for i, r := range t {
		if !r.Time.IsZero() {
			return dst, cannotEncode(lwm2m.FormatCBORTree, r.Path, "the format has no times")
		}
		if i > 0 && t[i-1].Path == r.Path {
			return dst, cannotEncode(lwm2m.FormatCBORTree, r.Path, "there are two values")
		}
	}
	return appendCBORMap(dst, lwm2m.Path{}, t, appendCBORLeaf), nil
}

// appendCBORMap appends the map of what is below a path. Levels with one entry are put into one key.
func appendCBORMap(dst []byte, p lwm2m.Path, t lwm2m.Tree, leaf func([]byte, lwm2m.Record) []byte) []byte {
	count := uint64(0)
	for range t.Children(p) {
		count++
	}
	dst = appendCBORHead(dst, cborMap, count)
	for child, below := range t.Children(p) {
		child = common(child, below)
		dst = appendCBORKey(dst, p.Depth(), child)
		if len(below) == 1 && below[0].Path == child {
			dst = leaf(dst, below[0])
			continue
		}
		dst = appendCBORMap(dst, child, below, leaf)
	}
	return dst
}

// common returns the deepest path that contains all records of a tree, or p if there is none deeper.
func common(p lwm2m.Path, t lwm2m.Tree) lwm2m.Path {
	first, last := t[0].Path, t[len(t)-1].Path
	for p.Depth() < first.Depth() && p.Depth() < last.Depth() && first.ID(p.Depth()) == last.ID(p.Depth()) {
		p = p.Child(first.ID(p.Depth()))
	}
	return p
}

func appendCBORKey(dst []byte, depth int, p lwm2m.Path) []byte {
	if p.Depth()-depth > 1 {
		dst = appendCBORHead(dst, cborArray, uint64(p.Depth()-depth))
	}
	for level := depth; level < p.Depth(); level++ {
		dst = appendCBORHead(dst, cborUnsigned, uint64(p.ID(level)))
	}
	return dst
}

// appendCBORLeaf appends a value; an instance without resources is an empty map, a resource without value is null.
func appendCBORLeaf(dst []byte, r lwm2m.Record) []byte {
	if r.Value.IsNone() && r.Path.Depth() < 3 {
		return appendCBORHead(dst, cborMap, 0)
	}
	return appendCBORValue(dst, r.Value)
}
