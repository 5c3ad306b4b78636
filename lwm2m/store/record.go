package store

import (
	"encoding/binary"
	"hash/crc32"
)

// Kind says what a record is about. Kinds that this version does not know are kept.
type Kind uint8

// The kinds of records.
const (
	Registration Kind = iota + 1 // of a device, by its endpoint name
	Observation                  // by device
	Attributes                   // notification attributes that are wanted, by device
	Queued                       // requests that wait for a device to wake up
	Formats                      // that a device was found to speak
	Session                      // state of a DTLS association: for a restart, not older than the newest that was durable
	Settings                     // of the gateway itself
)

// A file starts with fileMagic and goes on with records:
//
//	0  2  recordMagic, where reading goes on after damage
//	2  4  CRC-32C of everything behind it
//	6  4  size of value
//	10 2  size of key
//	12 1  kind, with tombstone set if the key was deleted
//	13    key, value
const (
	fileMagic   = "EHLWM2M\x01" // the last byte is the version of the format
	recordMagic = 0xe5b1
	headerSize  = 13
	maxRecord   = 4 << 20
	maxKey      = 1 << 10
	tombstone   = 0x80
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is one as it stands in a file or in a buffer. Its slices are those of what it was read from.
type record struct {
	kind       Kind
	dead       bool // a tombstone
	key, value []byte
}

func (r record) size() int { return headerSize + len(r.key) + len(r.value) }

// appendRecord writes r behind dst.
func appendRecord(dst []byte, r record) []byte {
	start := len(dst)
	kind := byte(r.kind)
	if r.dead {
		kind |= tombstone
	}
	dst = binary.BigEndian.AppendUint16(dst, recordMagic)
	dst = binary.BigEndian.AppendUint32(dst, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(r.value)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.key)))
	dst = append(dst, kind)
	dst = append(dst, r.key...)
	dst = append(dst, r.value...)
	binary.BigEndian.PutUint32(dst[start+2:], crc32.Checksum(dst[start+6:], castagnoli))
	return dst
}

// recordSize returns the size of the record that starts with header, or 0 if none can start so.
func recordSize(header []byte) int {
	if binary.BigEndian.Uint16(header) != recordMagic || header[12]&^tombstone == 0 {
		return 0
	}
	value, key := binary.BigEndian.Uint32(header[6:]), binary.BigEndian.Uint16(header[10:])
	if value > maxRecord || key > maxKey {
		return 0
	}
	return headerSize + int(key) + int(value)
}

// parseRecord reads the record that fills b, as recordSize measured it.
func parseRecord(b []byte) (record, bool) {
	if crc32.Checksum(b[6:], castagnoli) != binary.BigEndian.Uint32(b[2:]) {
		return record{}, false
	}
	key := headerSize + int(binary.BigEndian.Uint16(b[10:]))
	return record{kind: Kind(b[12] &^ tombstone), dead: b[12]&tombstone != 0, key: b[headerSize:key], value: b[key:]}, true
}
