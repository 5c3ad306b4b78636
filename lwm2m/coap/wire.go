package coap

import (
	"cmp"
	"errors"
	"sync"
)

// ErrTooLarge is the error of a message or a body that is larger than may be.
var ErrTooLarge = errors.New("too large")

// defaultMaxMessage passes over every link that IPv6 does (RFC 8200 section 5).
const defaultMaxMessage = 1280

// datagrams hold messages while they are written and sent.
var datagrams = sync.Pool{New: func() any {
	b := make([]byte, 0, defaultMaxMessage)
	return &b
}}

// appendMessage appends m in the form that l's transport carries.
func (l *link) appendMessage(dst []byte, m *Message) ([]byte, error) {
	if l.traits.Reliable {
		return appendFrame(dst, m)
	}
	return appendDatagram(dst, m)
}

// decode reads a message of l's transport.
func (l *link) decode(message []byte, m *Message) error {
	if l.traits.Reliable {
		return decodeFrame(message, m)
	}
	return decodeDatagram(message, m)
}

func (l *link) maxMessage() int { return cmp.Or(l.traits.MaxMessage, defaultMaxMessage) }
