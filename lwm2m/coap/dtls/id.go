package dtls

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// ID names an association for as long as it lives, in this process and the next. It is the connection id that the peer puts
// into its records if it has negotiated one, and random, so that nobody guesses another's.
type ID uint64

const idSize = 8

func newID() ID {
	var b [idSize]byte
	for {
		rand.Read(b[:])
		if id := ID(binary.BigEndian.Uint64(b[:])); id != 0 {
			return id
		}
	}
}

func idOf(cid []byte) ID { return ID(binary.BigEndian.Uint64(cid)) }

func (id ID) bytes() []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// String returns the id as the connection id looks on the wire.
func (id ID) String() string { return hex.EncodeToString(id.bytes()) }
