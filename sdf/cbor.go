package sdf

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

const attemptCBOR = "read CBOR"

// Tags that a value may carry without changing what it is (RFC 8949, section 3.4); those of times make a unix-time of it. All others are refused, big numbers too.
const (
	tagBase64URL = 21 // 21 to 23 say how a byte string would stand in JSON
	tagBase16    = 23
	tagCBOR      = 55799 // "this is CBOR"
)

// DecodeCBOR reads one CBOR data item (RFC 8949) of what JSON can say too, byte strings besides: names are texts and stand once, undefined
// counts as null.
func DecodeCBOR(data []byte, limits Limits) (any, error) {
	limits = limits.orDefault()
	if err := limits.checkBytes(attemptCBOR, len(data)); err != nil {
		return nil, err
	}
	mode, err := decMode(limits)
	if err != nil {
		return nil, cborError(err)
	}
	var raw any
	if err := mode.Unmarshal(data, &raw); err != nil {
		return nil, cborError(err)
	}
	n := normalizer{limits: limits}
	value, err := n.value(raw)
	if err != nil {
		return nil, cborError(err)
	}
	return value, nil
}

func cborError(err error) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	return &Error{Attempt: attemptCBOR, Code: CodeSyntax, Why: err.Error(), Hint: "send one CBOR item whose names are texts, each once in its map", Err: err}
}

var modes sync.Map // Limits to cbor.DecMode; few different ones exist

func decMode(l Limits) (cbor.DecMode, error) {
	if mode, ok := modes.Load(l); ok {
		return mode.(cbor.DecMode), nil
	}
	const least, mostDepth = 16, 65535 // that the package takes
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, MaxNestedLevels: min(max(l.Depth+1, 4), mostDepth), MaxArrayElements: max(l.Values, least), MaxMapPairs: max(l.Values, least),
		IntDec: cbor.IntDecConvertNone, DefaultMapType: reflect.TypeFor[map[string]any](), UTF8: cbor.UTF8RejectInvalid, BignumTag: cbor.BignumTagForbidden,
		DefaultByteStringType: reflect.TypeFor[[]byte](),
	}.DecMode()
	if err == nil {
		modes.Store(l, mode)
	}
	return mode, err
}

// normalizer turns what the decoder gives into values, and counts them.
type normalizer struct {
	limits Limits
	values int
}

func (n *normalizer) count() error {
	if n.values++; n.values > n.limits.Values {
		return tooLarge(attemptCBOR, "values", n.limits.Values)
	}
	return nil
}

func (n *normalizer) value(raw any) (any, error) {
	if err := n.count(); err != nil {
		return nil, err
	}
	switch v := raw.(type) {
	case nil, bool, string, []byte, int64, float64:
		return v, nil
	case uint64:
		return unsigned(v), nil
	case []any:
		return n.array(v)
	case map[string]any:
		return n.object(v)
	case time.Time: // tags 0 and 1
		return unixTime(v), nil
	case cbor.Tag:
		return n.tagged(v)
	}
	return nil, fmt.Errorf("%T is not a value of SDF", raw)
}

func (n *normalizer) array(array []any) (_ any, err error) {
	for i, item := range array {
		if array[i], err = n.value(item); err != nil {
			return nil, err
		}
	}
	return array, nil
}

func (n *normalizer) object(object map[string]any) (_ any, err error) {
	for name, item := range object {
		if err := n.count(); err != nil {
			return nil, err
		}
		if object[name], err = n.value(item); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func (n *normalizer) tagged(t cbor.Tag) (any, error) {
	switch {
	case t.Number >= tagBase64URL && t.Number <= tagBase16, t.Number == tagCBOR:
		return n.value(t.Content)
	}
	return nil, fmt.Errorf("tag %d has no meaning here", t.Number)
}

// unsigned is int64 where it fits.
func unsigned(v uint64) any {
	if v <= math.MaxInt64 {
		return int64(v)
	}
	return v
}

var encMode = sync.OnceValue(func() cbor.EncMode {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
})

// EncodeCBOR writes a value in the core deterministic encoding (RFC 8949, section 4.2.1).
func EncodeCBOR(value any) ([]byte, error) {
	if err := onlyValues(value); err != nil {
		return nil, &Error{Attempt: "write CBOR", Code: CodeSyntax, Why: err.Error(), Hint: "leave it out", Err: err}
	}
	data, err := encMode().Marshal(value)
	if err != nil {
		return nil, &Error{Attempt: "write CBOR", Code: CodeSyntax, Why: err.Error(), Hint: "leave it out", Err: err}
	}
	return data, nil
}

func onlyValues(value any) error {
	switch v := value.(type) {
	case nil, bool, string, []byte, int64, uint64, float64:
		return nil
	case []any:
		for _, item := range v {
			if err := onlyValues(item); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, item := range v {
			if err := onlyValues(item); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%T is not a value", value)
}
