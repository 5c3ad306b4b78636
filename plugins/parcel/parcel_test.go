package parcel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(seed byte) ed25519.PublicKey { return key(seed).Public().(ed25519.PublicKey) }

var module = bytes.Repeat([]byte("module"), 1000)

func statement() Statement {
	return Statement{Name: "temp-average", Version: "1.0.0", Kind: "workload", Digest: sha256.Sum256(module), Length: uint64(len(module)), Counter: 7, Devices: "sensor-*"}
}

func packed(t testing.TB, s Statement, keys ...ed25519.PrivateKey) []byte {
	t.Helper()
	seal, err := Seal(s, keys...)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Pack(seal, module)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParcelSurvivesTheTrip(t *testing.T) {
	h, got, err := Parse(packed(t, statement(), key(1), key(2)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.Statement, statement()); diff != "" || !bytes.Equal(got, module) || len(h.Signatures) != 2 {
		t.Error(diff)
	}
}

func TestHeadIsKnownBeforeTheModule(t *testing.T) {
	b := packed(t, statement(), key(1))
	_, at, _, err := ParseHead(b)
	if err != nil {
		t.Fatal(err)
	}
	for n := range at {
		if _, _, more, err := ParseHead(b[:n]); !more || err != nil {
			t.Fatalf("%d bytes: more %t, %v", n, more, err)
		}
	}
	if _, _, more, err := ParseHead(b[:at]); more || err != nil {
		t.Errorf("the whole head: more %t, %v", more, err)
	}
	if at > 300 {
		t.Errorf("a head of %d bytes", at)
	}
}

func TestCheck(t *testing.T) {
	trust := func(change func(*Trust)) *Trust {
		t := &Trust{Keys: []ed25519.PublicKey{public(9), public(1)}, Device: "sensor-7", Kinds: []string{"workload", "policy"}}
		change(t)
		return t
	}
	tests := map[string]struct {
		trust *Trust
		key   ed25519.PrivateKey
		want  string
	}{
		"good":             {trust(func(*Trust) {}), key(1), ""},
		"gateway":          {trust(func(t *Trust) { t.Device = "" }), key(1), ""},
		"another key":      {trust(func(*Trust) {}), key(2), CodeUnsigned},
		"no keys":          {trust(func(t *Trust) { t.Keys = nil }), key(1), CodeUnsigned},
		"another device":   {trust(func(t *Trust) { t.Device = "lamp-1" }), key(1), CodeDevice},
		"another kind":     {trust(func(t *Trust) { t.Kinds = []string{"policy"} }), key(1), CodeKind},
		"too large":        {trust(func(t *Trust) { t.MaxBytes = 100 }), key(1), CodeTooLarge},
		"older":            {trust(func(t *Trust) { t.Counter = func(string) uint64 { return 8 } }), key(1), CodeOlder},
		"the same counter": {trust(func(t *Trust) { t.Counter = func(string) uint64 { return 7 } }), key(1), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h, _, err := Parse(packed(t, statement(), test.key))
			if err != nil {
				t.Fatal(err)
			}
			if got := codeOf(test.trust.Check(h)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Whatever byte is changed, no device takes it.
func TestAlteredParcelsAreRefused(t *testing.T) {
	good := packed(t, statement(), key(1))
	trust := &Trust{Keys: []ed25519.PublicKey{public(1)}}
	for i := range good[:400] {
		b := bytes.Clone(good)
		b[i] ^= 1
		if h, _, err := Parse(b); err == nil && trust.Check(h) == nil {
			t.Errorf("byte %d", i)
		}
	}
	for _, n := range []int{0, 1, 100, len(good) - 1} {
		if _, _, err := Parse(good[:n]); err == nil {
			t.Errorf("%d bytes are accepted", n)
		}
	}
	if _, _, err := Parse(append(bytes.Clone(good), 0)); err == nil {
		t.Error("a byte too many is accepted")
	}
}

func TestSealRefuses(t *testing.T) {
	empty := statement()
	empty.Name = ""
	for name, try := range map[string]func() ([]byte, error){
		"no key":  func() ([]byte, error) { return Seal(statement()) },
		"no name": func() ([]byte, error) { return Seal(empty, key(1)) },
		"another module": func() ([]byte, error) {
			seal, err := Seal(statement(), key(1))
			if err != nil {
				t.Fatal(err)
			}
			return Pack(seal, module[1:])
		},
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseKey(t *testing.T) {
	k, err := ParseKey(fmt.Appendf(nil, `{"name":"targets","ed25519_public":%q}`, hex.EncodeToString(public(1))))
	if err != nil || !k.Equal(public(1)) {
		t.Error(k, err)
	}
	for _, bad := range []string{``, `{}`, `{"ed25519_public":"00"}`, `[]`} {
		if _, err := ParseKey([]byte(bad)); err == nil {
			t.Errorf("accepted %q", bad)
		}
	}
}

// No panic, and what is accepted is what packing it again gives.
func FuzzParse(f *testing.F) {
	s := statement()
	s.Digest, s.Length = sha256.Sum256(module[:3]), 3
	seal, err := Seal(s, key(1))
	if err != nil {
		f.Fatal(err)
	}
	b, err := Pack(seal, module[:3])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:50])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, module, err := Parse(b)
		if err != nil {
			return
		}
		if !bytes.Equal(appendStatement(nil, &h.Statement), h.signed) {
			t.Errorf("two forms of one statement: %x", b)
		}
		if h.Statement.matches(module) != nil {
			t.Error("a module that does not match")
		}
	})
}
