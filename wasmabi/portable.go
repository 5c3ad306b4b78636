package wasmabi

import (
	"math"
)

// These work whatever the machine's byte order is. They are compiled everywhere so that tests hold them against the
// little endian ones.

func appendPortable32(b []byte, v []uint32) []byte {
	for _, x := range v {
		b = append(b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24))
	}
	return b
}

func appendPortable64(b []byte, v []float64) []byte {
	for _, x := range v {
		v := math.Float64bits(x)
		b = appendPortable32(b, []uint32{uint32(v), uint32(v >> 32)})
	}
	return b
}

func copyPortable32(dst []uint32, raw []byte) {
	for i := range dst {
		dst[i] = little32(raw[i*4:])
	}
}

func copyPortable64(dst []float64, raw []byte) {
	for i := range dst {
		dst[i] = math.Float64frombits(little64(raw[i*8:]))
	}
}
