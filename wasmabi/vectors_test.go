package wasmabi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write the files under testdata/vectors again")

const vectorFolder = "testdata/vectors"

// vector is a file that SDKs in other languages test against; wasmabi/README.md describes it.
type vector struct {
	Name    string `json:"name"`
	Message string `json:"message"`
	Fields  any    `json:"fields"`
	Hex     string `json:"hex"`
}

func hexadecimal(b []byte) string { return hex.EncodeToString(b) }

func encodeVector(t *testing.T, s sample) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(vector{
		s.name, s.kind, plain(reflect.ValueOf(s.message).Elem()), hexadecimal(codecFor(s.kind).append(nil, s.message)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestVectors(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join(vectorFolder, s.name+".json")
			want := encodeVector(t, s)
			if *update {
				if err := os.WriteFile(path, want, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs from the codec; run the test with -update if that is meant", path)
			}
		})
	}
}

// refusals are bytes that every decoder must refuse.
func refusals() []vector {
	observation := AppendObservation(nil, &Observation{IDs: []uint32{1}, Values: []float64{1}, AgesMS: []uint32{1}})
	change := func(from, to string) string {
		b := bytes.Replace(observation, unhex(from), unhex(to), 1)
		if bytes.Equal(b, observation) {
			panic("nothing to change: " + from)
		}
		return hexadecimal(b)
	}
	return []vector{
		{Name: "empty", Message: "observation", Hex: ""},
		{Name: "array-of-seven", Message: "observation", Hex: change("88", "87")},
		{Name: "number-not-shortest", Message: "observation", Hex: change("8800", "881800")},
		{Name: "indefinite-array", Message: "observation", Hex: change("88", "9f")},
		{Name: "big-endian-column", Message: "observation", Hex: change("d846", "d842")},
		{Name: "tag-not-shortest", Message: "observation", Hex: change("d84644", "d9004644")},
		{Name: "column-not-whole", Message: "observation", Hex: change("d8464401000000d856", "d84643010000d856")},
		{Name: "columns-differ", Message: "observation", Hex: change("d8464401000000d856", "d84640d856")},
		{Name: "signalling-nan", Message: "observation", Hex: change("000000000000f03f", "010000000000f07f")},
		{Name: "negative-nan", Message: "observation", Hex: change("000000000000f03f", "000000000000f8ff")},
		{Name: "byte-too-many", Message: "observation", Hex: hexadecimal(observation) + "00"},
		{Name: "verdict-is-a-number", Message: "analysis", Hex: "87000100" + "60" + "d84640" + "d85640" + "d85640"},
		{Name: "keys-out-of-order", Message: "error", Hex: "a2" + "676d657373616765" + "6161" + "64636f6465" + "6162"},
		{Name: "key-twice", Message: "error", Hex: "a2" + "64636f6465" + "6161" + "64636f6465" + "6162"},
		{Name: "key-is-a-number", Message: "error", Hex: "a10102"},
		{Name: "text-not-utf8", Message: "error", Hex: "a1" + "64636f6465" + "61ff"},
		{Name: "text-longer-than-message", Message: "error", Hex: "a1" + "64636f6465" + "7affffffff"},
		{Name: "float-not-shortest", Message: "manifest", Hex: "a1" + "6477616b65" + "81a1" + "6561626f7665" + "fb3ff0000000000000"},
		{Name: "float-is-nan", Message: "manifest", Hex: "a1" + "6477616b65" + "81a1" + "6561626f7665" + "f97e00"},
		{Name: "more-mechanisms-than-bytes", Message: "manifest", Hex: "a1" + "6a6d656368616e69736d73" + "9a00ffffff"},
		{Name: "nested-too-deeply", Message: "error", Hex: "a1" + "6178" + "818181818181818181" + "00"},
		{Name: "parameters-without-names", Message: "init", Hex: "a1" + "6a706172616d6574657273" + "d85648000000000000f03f"},
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestRefusals(t *testing.T) {
	for _, v := range refusals() {
		t.Run(v.Name, func(t *testing.T) {
			c := codecFor(v.Message)
			if err := c.decode(unhex(v.Hex), c.empty()); err == nil {
				t.Errorf("accepted %s", v.Hex)
			}
		})
	}
	want, err := json.MarshalIndent(refusals(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(vectorFolder, "refused.json")
	if want = append(want, '\n'); *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs (%v); run the test with -update if that is meant", path, err)
	}
}
