package mqtt

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// cborDecode refuses what JSON could not have said either: members twice, keys that are no text, tags.
var cborDecode = must(cbor.DecOptions{
	DupMapKey:        cbor.DupMapKeyEnforcedAPF,
	MaxNestedLevels:  maxDepth,
	MaxArrayElements: maxMembers,
	MaxMapPairs:      maxMembers,
	IndefLength:      cbor.IndefLengthAllowed,
	TagsMd:           cbor.TagsForbidden,
	IntDec:           cbor.IntDecConvertNone,
	DefaultMapType:   reflect.TypeFor[map[string]any](),
	UTF8:             cbor.UTF8RejectInvalid,
}.DecMode())

var cborEncode = must(cbor.CoreDetEncOptions().EncMode())

func must[M any](m M, err error) M {
	if err != nil {
		panic(err) // options above contradict each other
	}
	return m
}

func parseCBOR(b []byte) (any, error) {
	var v any
	if err := cborDecode.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("%w is not CBOR: %w", errPayload, err)
	}
	left := maxMembers
	v, err := fromCBOR(v, &left)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPayload, err)
	}
	return v, nil
}

// fromCBOR brings a decoded value to the types of Request.Data: whole numbers are int64 unless they need uint64.
func fromCBOR(v any, left *int) (_ any, err error) {
	switch v := v.(type) {
	case nil, bool, string, []byte, int64, float64:
		return v, nil
	case uint64:
		if n := int64(v); n >= 0 {
			return n, nil
		}
		return v, nil
	case []any:
		for i := range v {
			if v[i], err = memberCBOR(v[i], left); err != nil {
				return nil, err
			}
		}
		return v, nil
	case map[string]any:
		for k := range v {
			if v[k], err = memberCBOR(v[k], left); err != nil {
				return nil, err
			}
		}
		return v, nil
	}
	return nil, fmt.Errorf("CBOR of a kind that SDF has no type for (%T)", v)
}

func memberCBOR(v any, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("more than %d members", maxMembers)
	}
	return fromCBOR(v, left)
}

func appendCBOR(b []byte, v any) ([]byte, error) {
	if m, ok := v.(json.Marshaler); ok { // a model that knows itself as JSON
		raw, err := m.MarshalJSON()
		if err != nil {
			return b, err
		}
		if v, err = parseJSON(raw); err != nil {
			return b, err
		}
	}
	raw, err := cborEncode.Marshal(v)
	return append(b, raw...), err
}
