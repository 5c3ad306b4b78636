package wasmabi

import (
	"bytes"
	"testing"
)

// fuzzCodec: no panic; what is accepted survives a second trip, in a used message too, and the reference agrees.
func fuzzCodec(f *testing.F, kind string) {
	c := codecFor(kind)
	for _, s := range samples() {
		if s.kind == kind {
			f.Add(c.append(nil, s.message))
		}
	}
	for _, v := range refusals() {
		if v.Message == kind {
			f.Add(unhex(v.Hex))
		}
	}
	used := c.empty()
	f.Fuzz(func(t *testing.T, b []byte) {
		m := c.empty()
		err := c.decode(b, m)
		if again := c.decode(b, used); (err == nil) != (again == nil) {
			t.Fatalf("fresh: %v, used: %v", err, again)
		}
		if err != nil {
			return
		}
		if !same(m, used) {
			t.Errorf("fresh %+v\nused  %+v", m, used)
		}
		checkReference(t, b, m)
		ours := c.append(nil, m)
		if theirs := reference(t, tree(m)); !bytes.Equal(ours, theirs) {
			t.Errorf("ours   %x\ntheirs %x", ours, theirs)
		}
		second := c.empty()
		if err := c.decode(ours, second); err != nil || !same(m, second) {
			t.Errorf("second trip: %v\ngot  %+v\nwant %+v", err, second, m)
		}
	})
}

func FuzzDecodeManifest(f *testing.F)    { fuzzCodec(f, "manifest") }
func FuzzDecodeInit(f *testing.F)        { fuzzCodec(f, "init") }
func FuzzDecodeObservation(f *testing.F) { fuzzCodec(f, "observation") }
func FuzzDecodeAnalysis(f *testing.F)    { fuzzCodec(f, "analysis") }
func FuzzDecodePlan(f *testing.F)        { fuzzCodec(f, "plan") }
func FuzzDecodeError(f *testing.F)       { fuzzCodec(f, "error") }
func FuzzDecodeMigrate(f *testing.F)     { fuzzCodec(f, "migrate") }

func FuzzDecodeOptions(f *testing.F)      { fuzzCodec(f, "options") }
func FuzzDecodeNames(f *testing.F)        { fuzzCodec(f, "names") }
func FuzzDecodeSettings(f *testing.F)     { fuzzCodec(f, "settings") }
func FuzzDecodeReadings(f *testing.F)     { fuzzCodec(f, "readings") }
func FuzzDecodeHTTPRequest(f *testing.F)  { fuzzCodec(f, "http-request") }
func FuzzDecodeHTTPResponse(f *testing.F) { fuzzCodec(f, "http-response") }
func FuzzDecodeFile(f *testing.F)         { fuzzCodec(f, "file") }
func FuzzDecodeItem(f *testing.F)         { fuzzCodec(f, "item") }
func FuzzDecodeCoAPRequest(f *testing.F)  { fuzzCodec(f, "coap-request") }
func FuzzDecodeCoAPResponse(f *testing.F) { fuzzCodec(f, "coap-response") }

func FuzzDecodeStart(f *testing.F)    { fuzzCodec(f, "start") }
func FuzzDecodeInput(f *testing.F)    { fuzzCodec(f, "input") }
func FuzzDecodeEmission(f *testing.F) { fuzzCodec(f, "emission") }

func FuzzDecodeContext(f *testing.F) {
	f.Add(AppendContext(nil, sampleContext()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := DecodeContext(b, nil)
		if err != nil || len(b) == 0 {
			return
		}
		again := AppendContext(nil, append([]Entry(nil), entries...))
		if !bytes.Equal(b, again) {
			t.Errorf("got %x, want %x", again, b)
		}
	})
}

func FuzzReadManifest(f *testing.F) {
	module, err := AppendManifest(emptyModule, sampleManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(module)
	f.Add(emptyModule)
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := ReadManifest(module)
		if err != nil {
			return
		}
		stripped, err := StripManifest(module)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(stripped); err == nil {
			t.Error("stripped module has a manifest")
		}
		if packed, err := AppendManifest(stripped, m); err != nil {
			t.Error(err)
		} else if got, err := ReadManifest(packed); err != nil || !same(got, m) {
			t.Errorf("packed again: %v", err)
		}
	})
}
