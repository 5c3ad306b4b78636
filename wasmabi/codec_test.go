package wasmabi

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func TestMessagesSurviveTheTrip(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			c := codecFor(s.kind)
			b := c.append([]byte("prefix"), s.message)
			got := c.empty()
			if err := c.decode(b[len("prefix"):], got); err != nil {
				t.Fatal(err)
			}
			if !same(got, s.message) {
				t.Errorf("got  %+v\nwant %+v", got, s.message)
			}
		})
	}
}

func TestEncodingIsCoreDeterministic(t *testing.T) {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			ours := codecFor(s.kind).append(nil, s.message)
			var v any
			if err := cbor.Unmarshal(ours, &v); err != nil {
				t.Fatal(err)
			}
			theirs, err := mode.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("ours   %x\ntheirs %x", ours, theirs)
			}
		})
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, s := range samples() {
		c := codecFor(s.kind)
		b := c.append(nil, s.message)
		for n := range b {
			if err := c.decode(b[:n], c.empty()); err == nil {
				t.Errorf("%s: accepted the first %d of %d bytes", s.name, n, len(b))
			}
		}
		if err := c.decode(append(b, 0), c.empty()); err == nil {
			t.Errorf("%s: accepted a byte too many", s.name)
		}
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	observation := AppendObservation(nil, sampleObservation(36))
	plan := samplePlan()
	var m Observation
	var p Plan
	buf := make([]byte, 0, 1024)
	run := func() {
		if err := DecodeObservation(observation, &m); err != nil {
			t.Fatal(err)
		}
		buf = AppendPlan(buf[:0], plan)
		if err := DecodePlan(buf, &p); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecodeObservation36(b *testing.B) {
	in := AppendObservation(nil, sampleObservation(36))
	var m Observation
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodeObservation(in, &m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendObservation36(b *testing.B) {
	m := sampleObservation(36)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendObservation(buf[:0], m)
	}
}

func BenchmarkAppendPlan(b *testing.B) {
	m := samplePlan()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendPlan(buf[:0], m)
	}
}

func BenchmarkDecodePlan(b *testing.B) {
	in := AppendPlan(nil, samplePlan())
	var m Plan
	b.ReportAllocs()
	for b.Loop() {
		if err := DecodePlan(in, &m); err != nil {
			b.Fatal(err)
		}
	}
}
