package codec

import (
	"math"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgehold/edgehold/lwm2m"
)

// bases are what the payload of a fuzzed message may be about.
var bases = []lwm2m.Path{
	{}, lwm2m.PathOf(3), lwm2m.PathOf(3, 0), lwm2m.PathOf(3, 0, 9), lwm2m.PathOf(3, 0, 7), lwm2m.PathOf(3, 0, 7, 1), lwm2m.PathOf(5, 0), lwm2m.PathOf(3303, 0, 5700),
}

// fuzz checks of whatever decodes that it comes back from each format that can say it.
func fuzz(f *testing.F, format lwm2m.Format) {
	for _, v := range vectors {
		if v.format != format {
			continue
		}
		for i, base := range bases {
			if base == lwm2m.MustParsePath(v.base) {
				f.Add(uint8(i), bytesOf(f, format, v.payload))
			}
		}
	}
	f.Fuzz(func(t *testing.T, about uint8, payload []byte) {
		base := bases[int(about)%len(bases)]
		tree, err := decoder.Decode(nil, format, base, payload)
		if err != nil {
			return
		}
		for _, to := range []lwm2m.Format{format, lwm2m.FormatSenMLCBOR, lwm2m.FormatSenMLJSON, lwm2m.FormatTLV, lwm2m.FormatCBORTree} {
			comesBack(t, to, base, tree)
		}
	})
}

// comesBack encodes a tree and decodes it again; what a format cannot say it has to refuse.
func comesBack(t *testing.T, f lwm2m.Format, base lwm2m.Path, tree lwm2m.Tree) {
	t.Helper()
	payload, err := Append(nil, f, base, tree)
	if err != nil {
		return
	}
	again, err := decoder.Decode(nil, f, base, payload)
	if err != nil {
		t.Fatalf("%v, written in %v as %q, is refused: %v", tree, f, payload, err)
	}
	if plain(f, tree) && again.String() != tree.String() {
		t.Fatalf("%v, written in %v as %q, comes back as %v", tree, f, payload, again)
	}
}

// plain reports whether a tree has nothing that a format leaves out on purpose: TLV has no times and one value of each
// path; numbers of unknown resources have the type that the bytes suggest; a node without value beside what is below it.
func plain(f lwm2m.Format, t lwm2m.Tree) bool {
	if len(t) == 0 && f == lwm2m.FormatTLV { // no bytes are an empty instance
		return false
	}
	for i, r := range t {
		kind, _, known := device.Kind(r.Path)
		switch {
		case i > 0 && t[i-1].Path.Contains(r.Path):
			return false
		case f == lwm2m.FormatTLV && !r.Time.IsZero(), !known && !r.Value.IsNone(), known && kind == lwm2m.KindNone:
			return false
		case r.Value.IsNone() && (r.Path.Depth() == 0 || r.Path.Depth() == 4 || f == lwm2m.FormatTLV):
			return false
		case r.Value.IsNone() && len(t) > 1:
			return false
		case f == lwm2m.FormatTLV && r.Value.Kind() == lwm2m.KindUnsigned && r.Value.Unsigned() > math.MaxInt64:
			return false
		case r.Time.Nanosecond()%1000 != 0 || !r.Time.IsZero() && r.Time.After(time.Unix(1<<32, 0)):
			return false
		}
	}
	return true
}

func FuzzTLV(f *testing.F)       { fuzz(f, lwm2m.FormatTLV) }
func FuzzSenMLJSON(f *testing.F) { fuzz(f, lwm2m.FormatSenMLJSON) }
func FuzzSenMLCBOR(f *testing.F) { fuzz(f, lwm2m.FormatSenMLCBOR) }
func FuzzCBORTree(f *testing.F)  { fuzz(f, lwm2m.FormatCBORTree) }
func FuzzOldJSON(f *testing.F)   { fuzz(f, lwm2m.FormatJSON) }
func FuzzText(f *testing.F)      { fuzz(f, lwm2m.FormatText) }

// FuzzCBOR holds the reader of CBOR against fxamacker's: what that one refuses as malformed is refused here.
func FuzzCBOR(f *testing.F) {
	for _, b := range [][]byte{{0x18, 0x64}, {0xc1, 0x1a, 0x51, 0x82, 0x42, 0x8f}, {0x7f, 0x61, 'a', 0x61, 'b', 0xff}, {0xf9, 0x7c, 0}, {0x3b, 255, 255, 255, 255, 255, 255, 255, 255}} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r := cborReader{b: payload}
		v := r.value()
		r.end()
		if r.problem != "" {
			return
		}
		if err := cbor.Wellformed(payload); err != nil {
			t.Fatalf("%x is %v, and malformed: %v", payload, v, err)
		}
		again := cborReader{b: appendCBORValue(nil, v)}
		if got := again.value(); got != v && !(math.IsNaN(v.Float()) && math.IsNaN(got.Float())) {
			t.Fatalf("%v comes back as %v", v, got)
		}
	})
}

func FuzzPaths(f *testing.F) {
	f.Add(uint8(0), []byte(`[{"bn":"/3/0/"},{"n":"0"},{"bn":"/4"}]`))
	f.Add(uint8(1), []byte{0x81, 0xa1, 0, 0x62, '/', '3'})
	f.Add(uint8(2), []byte{0xa1, 0x82, 3, 0, 0xf6})
	formats := []lwm2m.Format{lwm2m.FormatSenMLJSON, lwm2m.FormatSenMLCBOR, lwm2m.FormatCBORTree}
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		format := formats[int(which)%len(formats)]
		paths, err := DecodePaths(format, payload)
		if err != nil {
			return
		}
		b, err := AppendPaths(nil, lwm2m.FormatSenMLCBOR, paths)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := DecodePaths(lwm2m.FormatSenMLCBOR, b); err != nil || len(again) != len(paths) {
			t.Fatalf("%v comes back as %v, %v", paths, again, err)
		}
	})
}
