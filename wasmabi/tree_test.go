package wasmabi

import (
	"encoding/binary"
	"math"
	"reflect"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// The tests' own account of the encoding: it turns a message into plain values by reflection, following schema.cddl
// rather than the codec, and leaves the bytes to fxamacker/cbor.

// tree returns what a general CBOR encoder has to be given.
func tree(m any) any { return treeOf(reflect.Indirect(reflect.ValueOf(m))) }

func treeOf(v reflect.Value) any {
	switch v.Interface().(type) {
	case []uint32:
		return cbor.Tag{Number: 70, Content: column(v, 4)}
	case []float64:
		return cbor.Tag{Number: 86, Content: column(v, 8)}
	case []byte:
		return append([]byte{}, v.Bytes()...)
	case Observation, Analysis, Plan, Input, Emission, Label:
		return treeArray(v)
	}
	switch v.Kind() {
	case reflect.Struct:
		return treeMap(v)
	case reflect.Slice:
		all := make([]any, v.Len())
		for i := range all {
			all[i] = treeOf(v.Index(i))
		}
		return all
	case reflect.Uint32, reflect.Uint64:
		return v.Uint()
	}
	return v.Interface()
}

func treeArray(v reflect.Value) []any {
	all := make([]any, v.NumField())
	for i := range all {
		all[i] = treeOf(v.Field(i))
	}
	return all
}

func treeMap(v reflect.Value) map[string]any {
	all := map[string]any{}
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Float64 {
			if !math.IsNaN(f.Float()) {
				all[snake(v.Type().Field(i).Name)] = f.Float()
			}
		} else if !f.IsZero() && (f.Kind() != reflect.Slice || f.Len() > 0) {
			all[snake(v.Type().Field(i).Name)] = treeOf(f)
		}
	}
	return all
}

func column(v reflect.Value, width int) []byte {
	b := []byte{}
	for i := range v.Len() {
		if x := v.Index(i); width == 4 {
			b = binary.LittleEndian.AppendUint32(b, uint32(x.Uint()))
		} else if math.IsNaN(x.Float()) {
			b = binary.LittleEndian.AppendUint64(b, 0x7ff8000000000000)
		} else {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x.Float()))
		}
	}
	return b
}

var initialisms = strings.NewReplacer("IDs", "Ids", "MS", "Ms", "NS", "Ns", "ML", "Ml", "ABI", "Abi", "URL", "Url", "URI", "Uri")

// snake turns a Go name into the schema's.
func snake(name string) string {
	var b strings.Builder
	for i, r := range initialisms.Replace(name) {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain is tree for people: names everywhere, bytes as hexadecimal digits, NaN and numbers beyond 2^53 as text.
func plain(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		all := map[string]any{}
		for i := range v.NumField() {
			all[snake(v.Type().Field(i).Name)] = plain(v.Field(i))
		}
		return all
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return hexadecimal(v.Bytes())
		}
		all := make([]any, v.Len())
		for i := range all {
			all[i] = plain(v.Index(i))
		}
		return all
	case reflect.Float64:
		if math.IsNaN(v.Float()) {
			return "nan"
		}
	case reflect.Int64:
		if v.Int() > 1<<53 || v.Int() < -1<<53 {
			return decimal(uint64(v.Int()))
		}
	case reflect.Uint64:
		if v.Uint() > 1<<53 {
			return decimal(v.Uint())
		}
	}
	return v.Interface()
}
