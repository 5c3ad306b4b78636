package dtls

import "encoding/binary"

// Content types of records, RFC 5246 section 6.2.1 and RFC 9146 section 4.
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeHandshake        = 22
	typeApplication      = 23
	typeCID              = 25
)

// Handshake message types, RFC 5246 section 7.4.
const (
	messageClientHello       = 1
	messageServerHello       = 2
	messageServerHelloDone   = 14
	messageClientKeyExchange = 16

	handshakeHeaderSize = 12
)

const (
	headerSize  = 13 // of a record without connection id
	explicitIV  = 8  // in front of each protected payload, RFC 5288 section 3
	maxSequence = 1<<48 - 1
)

// Protocol versions as they stand in records, RFC 6347 section 4.1.
const (
	version12     = 0xfefd
	version10     = 0xfeff // what a ClientHello's record may carry
	versionLegacy = 0xfe00 // what some mbedTLS clients put there
)

// record is one record of a datagram. Its slices are the datagram's.
type record struct {
	kind     byte
	version  uint16
	epoch    uint16
	sequence uint64
	cid      []byte // of records of type 25
	raw      []byte // header and body
	body     []byte
}

// nextRecord takes the first record off a datagram. Records of type 25 have a connection id of cidSize bytes.
func nextRecord(datagram []byte, cidSize int) (r record, rest []byte, ok bool) {
	if len(datagram) < headerSize {
		return record{}, nil, false
	}
	header := headerSize
	if datagram[0] == typeCID {
		header += cidSize
	}
	if len(datagram) < header {
		return record{}, nil, false
	}
	end := header + int(binary.BigEndian.Uint16(datagram[header-2:]))
	if len(datagram) < end {
		return record{}, nil, false
	}
	return record{
		kind: datagram[0], version: binary.BigEndian.Uint16(datagram[1:]),
		epoch: binary.BigEndian.Uint16(datagram[3:]), sequence: sequenceOf(datagram),
		cid: datagram[11 : header-2], raw: datagram[:end:end], body: datagram[header:end:end],
	}, datagram[end:], true
}

// sequenceOf is the sequence number of the record that begins here, whatever its connection id.
func sequenceOf(record []byte) uint64 { return binary.BigEndian.Uint64(record[3:]) & maxSequence }

// appendHeader appends a record's header but for its length.
func appendHeader(dst []byte, kind byte, epoch uint16, sequence uint64, cid []byte) []byte {
	dst = append(dst, kind, version12>>8, version12&0xff)
	dst = binary.BigEndian.AppendUint64(dst, uint64(epoch)<<48|sequence)
	return append(dst, cid...)
}
