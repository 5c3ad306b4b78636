package wasmabi

import (
	"bytes"
	"math"
	"testing"
)

func sampleContext() []Entry {
	return []Entry{
		{Key: "text", Kind: EntryText, Text: "a"},
		{Key: "count", Kind: EntryInt, Int: -3},
		{Key: "mean", Kind: EntryFloat, Float: 0.25},
		{Key: "none", Kind: EntryFloat, Float: nan},
		{Key: "on", Kind: EntryBool, Bool: true},
		{Key: "raw", Kind: EntryBytes, Bytes: []byte{1}},
		{Key: "window", Kind: EntryFloats, Floats: []float64{1, nan}},
	}
}

func TestContextSurvivesSorted(t *testing.T) {
	b := AppendContext(nil, sampleContext())
	got, err := DecodeContext(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := sampleContext()
	sortEntries(want)
	if !same(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	var theirs any
	if err := strict.Unmarshal(b, &theirs); err != nil {
		t.Fatal(err)
	}
	if again := reference(t, theirs); !bytes.Equal(again, b) {
		t.Errorf("ours   %x\ntheirs %x", b, again)
	}
}

func TestPortableColumnsAgree(t *testing.T) {
	ids, values := []uint32{0, 1, math.MaxUint32, 0x01020304}, []float64{0, -1.5, math.Inf(1), 1e-300}
	if a, b := appendRaw32(nil, ids), appendPortable32(nil, ids); !bytes.Equal(a, b) {
		t.Errorf("%x and %x", a, b)
	}
	raw := appendRaw64(nil, values)
	if b := appendPortable64(nil, values); !bytes.Equal(raw, b) {
		t.Errorf("%x and %x", raw, b)
	}
	got := make([]float64, len(values))
	if copyPortable64(got, raw); !same(got, values) {
		t.Errorf("got %v, want %v", got, values)
	}
	back := make([]uint32, len(ids))
	if copyPortable32(back, appendRaw32(nil, ids)); !same(back, ids) {
		t.Errorf("got %v, want %v", back, ids)
	}
}

func TestHalfAgreesWithEveryBinary16(t *testing.T) {
	for h := range 1 << 16 {
		v := unhalf(uint16(h))
		if math.IsNaN(v) {
			continue
		}
		if got, ok := half(float32(v)); !ok || got != uint16(h) {
			t.Fatalf("%#04x is %v and came back as %#04x, %t", h, v, got, ok)
		}
	}
	for _, f := range []float32{0.1, 65505, 65536, 1e-8, 2.98e-8, 1 + 1.0/2048} {
		if h, ok := half(f); ok {
			t.Errorf("%v became %#04x", f, h)
		}
	}
}
