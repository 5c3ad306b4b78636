package sdf

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
)

// compareNumbers orders int64, uint64 and float64 exactly, as -1, 0 or 1. NaN is above all, so that no upper bound lets it pass.
func compareNumbers(a, b any) int {
	switch x := a.(type) {
	case int64:
		switch y := b.(type) {
		case int64:
			return cmp.Compare(x, y)
		case uint64: // always above the range of int64
			return -1
		}
	case uint64:
		switch y := b.(type) {
		case int64:
			return 1
		case uint64:
			return cmp.Compare(x, y)
		}
	}
	return compareMixed(a, b)
}

func compareMixed(a, b any) int {
	if f, ok := a.(float64); ok && math.IsNaN(f) {
		return 1
	}
	if f, ok := b.(float64); ok && math.IsNaN(f) {
		return -1
	}
	return exact(a).Cmp(exact(b))
}

// exact is a number without rounding.
func exact(n any) *big.Float {
	f := new(big.Float).SetPrec(64)
	switch v := n.(type) {
	case int64:
		return f.SetInt64(v)
	case uint64:
		return f.SetUint64(v)
	case float64:
		return f.SetFloat64(v)
	}
	return f
}

// isMultiple allows for what binary fractions can't hold: 0.3 is a multiple of 0.1.
func isMultiple(value, of any) bool {
	v, _ := exact(value).Float64()
	step, _ := exact(of).Float64()
	if step == 0 {
		return false
	}
	if a, ok := value.(int64); ok {
		if b, ok := of.(int64); ok {
			return a%b == 0
		}
	}
	ratio := v / step
	return math.Abs(ratio-math.Round(ratio)) <= 1e-9*math.Max(1, math.Abs(ratio))
}

// equal compares values; numbers by what they are worth.
func equal(a, b any) bool {
	switch x := a.(type) {
	case []byte:
		y, ok := b.([]byte)
		return ok && bytes.Equal(x, y)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		return equalObjects(x, b)
	}
	if isNumber(a) && isNumber(b) {
		return compareNumbers(a, b) == 0
	}
	switch b.(type) {
	case []byte, []any, map[string]any:
		return false
	}
	return a == b
}

func equalObjects(x map[string]any, b any) bool {
	y, ok := b.(map[string]any)
	if !ok || len(x) != len(y) {
		return false
	}
	for name, value := range x {
		other, has := y[name]
		if !has || !equal(value, other) {
			return false
		}
	}
	return true
}

// scalar is what a map knows a value by that is no array and no object.
func scalar(value any) (key any, ok bool) {
	switch v := value.(type) {
	case []any, map[string]any:
		return nil, false
	case []byte:
		return [1]string{string(v)}, true // not the text of the same bytes
	case float64:
		if n := int64(v); float64(n) == v {
			return n, true
		}
	}
	return value, true
}

// hasTwins reports whether two items are equal. Scalars are found by a map, so that only what is nested costs a square.
func hasTwins(items []any) bool {
	seen := map[any]bool{}
	var nested []any
	for _, item := range items {
		key, ok := scalar(item)
		switch {
		case !ok:
			nested = append(nested, item)
		case seen[key]:
			return true
		default:
			seen[key] = true
		}
	}
	const most = 1000 // beyond, a square is too much; no model comes near
	nested = nested[:min(len(nested), most)]
	for i := range nested {
		for j := range i {
			if equal(nested[i], nested[j]) {
				return true
			}
		}
	}
	return false
}
