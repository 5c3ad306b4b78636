package wasmabi

// encoding/binary would do, but it imports reflect, which a guest should not carry.

func appendBig16(b []byte, v uint16) []byte { return append(b, byte(v>>8), byte(v)) }

func appendBig32(b []byte, v uint32) []byte {
	return append(b, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func appendBig64(b []byte, v uint64) []byte {
	return appendBig32(appendBig32(b, uint32(v>>32)), uint32(v))
}

func big16(b []byte) uint16 { return uint16(b[0])<<8 | uint16(b[1]) }

func big32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func big64(b []byte) uint64 { return uint64(big32(b))<<32 | uint64(big32(b[4:])) }

func little32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func little64(b []byte) uint64 { return uint64(little32(b)) | uint64(little32(b[4:]))<<32 }
