package dtls

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"slices"
)

var (
	errUnprotected = errors.New("a record can't be authenticated")
	errExhausted   = errors.New("the association has used up its sequence numbers")
)

// seal appends one protected record. With a connection id of the peer's the payload travels as RFC 9146 section 4 says.
func seal(dst []byte, aead cipher.AEAD, salt *[saltSize]byte, kind byte, sequence uint64, cid, payload []byte) []byte {
	start := len(dst)
	outer := kind
	if len(cid) > 0 {
		outer = typeCID
	}
	dst = appendHeader(dst, outer, epochProtected, sequence, cid)
	plain := len(payload)
	if len(cid) > 0 {
		plain++
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(explicitIV+plain+aead.Overhead()))
	header := len(dst) - start
	dst = append(dst, dst[start+3:start+11]...) // epoch and sequence number never repeat: RFC 5288 section 3 wants no more of a nonce
	body := len(dst)
	dst = append(dst, payload...)
	if len(cid) > 0 {
		dst = append(dst, kind)
	}
	var nonce [nonceSize]byte
	copy(nonce[:], salt[:])
	copy(nonce[saltSize:], dst[start+header:])
	var room [maxAdditional]byte
	additional := appendAdditional(room[:0], dst[start:start+header], cid, plain)
	dst = slices.Grow(dst, aead.Overhead())
	return aead.Seal(dst[:body], nonce[:], dst[body:], additional)
}

// unseal authenticates and decrypts a record in place, and returns what it carries and of which type that is.
func unseal(aead cipher.AEAD, salt *[saltSize]byte, r record) (kind byte, payload []byte, err error) {
	plain := len(r.body) - explicitIV - aead.Overhead()
	if plain < 0 || r.version != version12 {
		return 0, nil, errUnprotected
	}
	var nonce [nonceSize]byte
	copy(nonce[:], salt[:])
	copy(nonce[saltSize:], r.body)
	var room [maxAdditional]byte
	header := r.raw[:len(r.raw)-len(r.body)]
	payload, err = aead.Open(r.body[explicitIV:explicitIV], nonce[:], r.body[explicitIV:], appendAdditional(room[:0], header, r.cid, plain))
	if err != nil {
		return 0, nil, errUnprotected
	}
	if r.kind != typeCID {
		return r.kind, payload, nil
	}
	// The real type is behind the content, and zeros may be behind it.
	end := len(payload)
	for end > 0 && payload[end-1] == 0 {
		end--
	}
	if end == 0 {
		return 0, nil, errUnprotected
	}
	return payload[end-1], payload[:end-1], nil
}

const maxAdditional = 23 + 255

// appendAdditional appends the data that is authenticated beside the payload, of plain bytes: RFC 6347 section 4.1.2.1, or
// with a connection id RFC 9146 section 5.3.
func appendAdditional(dst, header, cid []byte, plain int) []byte {
	if len(cid) == 0 {
		dst = append(dst, header[3:11]...)
		dst = append(dst, header[:3]...)
		return binary.BigEndian.AppendUint16(dst, uint16(plain))
	}
	dst = append(dst, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, typeCID, byte(len(cid)))
	dst = append(dst, header[:11]...)
	dst = append(dst, cid...)
	return binary.BigEndian.AppendUint16(dst, uint16(plain))
}
