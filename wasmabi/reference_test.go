package wasmabi

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// coreDeterministic is fxamacker/cbor as RFC 8949 section 4.2.1 wants it.
var coreDeterministic = func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// strict is fxamacker/cbor refusing what a deterministic message can't hold.
var strict = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden,
		MaxArrayElements: 1 << 16, MaxMapPairs: 1 << 16,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

func reference(t testing.TB, v any) []byte {
	t.Helper()
	b, err := coreDeterministic.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReferenceEncodesTheSameBytes(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			c := codecFor(s.kind)
			theirs := reference(t, tree(s.message))
			if ours := c.append(nil, s.message); !bytes.Equal(ours, theirs) {
				t.Fatalf("ours   %x\ntheirs %x", ours, theirs)
			}
			got := c.empty()
			if err := c.decode(theirs, got); err != nil {
				t.Fatal(err)
			}
			if !same(got, s.message) {
				t.Errorf("got  %+v\nwant %+v", got, s.message)
			}
		})
	}
}

func TestReferenceDecodesTheSameFields(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			checkReference(t, codecFor(s.kind).append(nil, s.message), s.message)
		})
	}
}

// checkReference holds what fxamacker reads in b against m, which ours read there. It knows more keys than m has.
func checkReference(t testing.TB, b []byte, m any) {
	t.Helper()
	var theirs any
	if err := strict.Unmarshal(b, &theirs); err != nil {
		return // the reference accepts less here, for example by nesting
	}
	var ours any
	if err := strict.Unmarshal(reference(t, tree(m)), &ours); err != nil {
		t.Fatal(err)
	}
	if !contains(t, theirs, ours) {
		t.Errorf("bytes  %x\nours   %v\ntheirs %v", b, ours, theirs)
	}
}

// contains reports whether all that is in part is in whole.
func contains(t testing.TB, whole, part any) bool {
	switch part := part.(type) {
	case map[any]any:
		w, ok := whole.(map[any]any)
		for key, value := range part {
			ok = ok && contains(t, w[key], value)
		}
		return ok
	case []any:
		w, ok := whole.([]any)
		ok = ok && len(w) == len(part)
		for i := 0; ok && i < len(part); i++ {
			ok = contains(t, w[i], part[i])
		}
		return ok
	}
	return bytes.Equal(reference(t, whole), reference(t, part))
}

func TestUnknownKeysAreSkipped(t *testing.T) {
	extra := map[string]any{"k": map[string]any{"a": []any{1, -2, "x", []byte{1}, 1.5, nil, true}}, "zzzzzzzzzzzzzzzzzzzzz": 1e300}
	for _, s := range samples() {
		fields, ok := tree(s.message).(map[string]any)
		if !ok {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			for k, v := range extra {
				fields[k] = v
			}
			c := codecFor(s.kind)
			got := c.empty()
			if err := c.decode(reference(t, fields), got); err != nil {
				t.Fatal(err)
			}
			if !same(got, s.message) {
				t.Errorf("got  %+v\nwant %+v", got, s.message)
			}
		})
	}
}
