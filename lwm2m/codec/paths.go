package codec

import (
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
)

// DecodePaths reads what a FETCH asks for: a list of paths as SenML records, or as a tree of LwM2M CBOR, without values
// (Core 1.2 §6.3.10 and §7.5).
func DecodePaths(f lwm2m.Format, payload []byte) ([]lwm2m.Path, error) {
	b := builder{format: f, paths: true}
	switch f.Canonical() {
	case lwm2m.FormatSenMLJSON:
		b.senMLJSON(payload)
	case lwm2m.FormatSenMLCBOR:
		b.senMLCBOR(payload)
	case lwm2m.FormatCBORTree:
		b.cborTree(payload)
	default:
		return nil, unsupported("decode paths from", f)
	}
	if len(b.tree) > MaxPaths {
		b.fail(CodeTooLarge, 0, "there are more than "+strconv.Itoa(MaxPaths)+" paths")
	}
	paths := make([]lwm2m.Path, 0, min(len(b.tree), MaxPaths))
	for _, r := range b.tree {
		if !r.Value.IsNone() {
			b.fail(CodeMalformed, 0, r.Path.String()+" has a value")
		}
		if b.err != nil {
			return nil, b.err
		}
		paths = append(paths, r.Path)
	}
	return paths, b.err
}

// AppendPaths appends a list of paths for a FETCH.
func AppendPaths(dst []byte, f lwm2m.Format, paths []lwm2m.Path) ([]byte, error) {
	if len(paths) > MaxPaths {
		return dst, cannotEncode(f, lwm2m.Path{}, "there are more than "+strconv.Itoa(MaxPaths)+" paths")
	}
	switch f.Canonical() {
	case lwm2m.FormatSenMLJSON:
		return appendPathsJSON(dst, paths), nil
	case lwm2m.FormatSenMLCBOR:
		return appendPathsCBOR(dst, paths), nil
	case lwm2m.FormatCBORTree:
		return appendPathsTree(dst, paths)
	default:
		return dst, unsupported("encode paths in", f)
	}
}

func appendPathsJSON(dst []byte, paths []lwm2m.Path) []byte {
	dst = append(dst, '[')
	for i, p := range paths {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(p.Append(append(dst, `{"n":"`...)), `"}`...)
	}
	return append(dst, ']')
}

func appendPathsCBOR(dst []byte, paths []lwm2m.Path) []byte {
	dst = appendCBORHead(dst, cborArray, uint64(len(paths)))
	for _, p := range paths {
		var buffer [maxName]byte
		name := p.Append(buffer[:0])
		dst = appendCBORInteger(appendCBORHead(dst, cborMap, 1), labelName)
		dst = appendCBORName(dst, name)
	}
	return dst
}

// appendPathsTree appends the paths as a tree of nulls. In one, no path can lie below another.
func appendPathsTree(dst []byte, paths []lwm2m.Path) ([]byte, error) {
	t := make(lwm2m.Tree, 0, len(paths))
	for _, p := range paths {
		if p.Depth() == 0 {
			return dst, cannotEncode(lwm2m.FormatCBORTree, p, "the format cannot name the whole device")
		}
		t = append(t, lwm2m.Record{Path: p})
	}
	t.Sort()
	for i := 1; i < len(t); i++ {
		if t[i-1].Path.Contains(t[i].Path) {
			return dst, cannotEncode(lwm2m.FormatCBORTree, t[i].Path, "it lies below "+t[i-1].Path.String()+", which is asked for too")
		}
	}
	null := func(dst []byte, r lwm2m.Record) []byte { return appendCBORPlain(dst, r.Value) }
	return appendCBORMap(dst, lwm2m.Path{}, t, null), nil
}
