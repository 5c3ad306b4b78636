package coap

import (
	"encoding/binary"
	"slices"
)

// Extended lengths of a frame begin at these (RFC 8323 section 3.2).
const (
	length13 = 13
	length14 = 269
	length15 = 65805
)

// appendFrame appends m in the form of RFC 8323 section 3.2.
func appendFrame(dst []byte, m *Message) ([]byte, error) {
	const room = 6 // first byte, greatest extended length, code
	start := len(dst)
	dst = append(dst, make([]byte, room)...)
	dst = append(dst, m.Token.bytes[:m.Token.length]...)
	body := len(dst)
	dst, err := appendBody(dst, m)
	if err != nil {
		return dst, err
	}
	var head [room]byte
	used := 1 + putLength(head[1:], &head[0], len(dst)-body)
	head[0] |= m.Token.length
	head[used] = byte(m.Code)
	used++
	copy(dst[start:], head[:used])
	return slices.Delete(dst, start+used, start+room), nil
}

// putLength writes a length's nibble into first and the rest into ext, of which it says how many bytes it took.
func putLength(ext []byte, first *byte, length int) int {
	switch {
	case length < length13:
		*first = byte(length) << 4
		return 0
	case length < length14:
		*first = 13 << 4
		ext[0] = byte(length - length13)
		return 1
	case length < length15:
		*first = 14 << 4
		binary.BigEndian.PutUint16(ext, uint16(length-length14))
		return 2
	default:
		*first = 15 << 4
		binary.BigEndian.PutUint32(ext, uint32(length-length15))
		return 4
	}
}

// frameLength says how long the frame that b begins with is, header included, and how long its header is (up to and
// including the code). Both are 0 as long as b is too short to say.
func frameLength(b []byte) (total int64, header int) {
	if len(b) == 0 {
		return 0, 0
	}
	ext := [16]int{13: 1, 14: 2, 15: 4}[b[0]>>4]
	header = 1 + ext + 1
	if len(b) < header {
		return 0, 0
	}
	var body int64
	switch b[0] >> 4 {
	case 13:
		body = int64(b[1]) + length13
	case 14:
		body = int64(binary.BigEndian.Uint16(b[1:])) + length14
	case 15:
		body = int64(binary.BigEndian.Uint32(b[1:])) + length15
	default:
		body = int64(b[0] >> 4)
	}
	return int64(header) + int64(b[0]&15) + body, header
}

// decodeFrame reads one whole frame into m, which points into it afterwards; its errors are decodeDatagram's.
func decodeFrame(frame []byte, m *Message) error {
	total, header := frameLength(frame)
	if header == 0 || total != int64(len(frame)) {
		return errTruncated
	}
	m.Type, m.ID = Confirmable, 0
	m.Code = Code(frame[header-1])
	return decodeBody(frame[header:], int(frame[0]&15), m)
}
