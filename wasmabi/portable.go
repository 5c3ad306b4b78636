package wasmabi

import (
	"encoding/binary"
	"math"
)

// These work whatever the machine's byte order is. They are compiled everywhere so that tests hold them against the
// little endian ones.

func appendPortable32(b []byte, v []uint32) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, x)
	}
	return b
}

func appendPortable64(b []byte, v []float64) []byte {
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
	}
	return b
}

func copyPortable32(dst []uint32, raw []byte) {
	for i := range dst {
		dst[i] = binary.LittleEndian.Uint32(raw[i*4:])
	}
}

func copyPortable64(dst []float64, raw []byte) {
	for i := range dst {
		dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(raw[i*8:]))
	}
}
