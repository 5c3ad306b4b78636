package coap

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Type is a message's role in reliability (RFC 7252 section 4). Reliable transports have none.
type Type uint8

// Types of messages.
const (
	Confirmable Type = iota
	NonConfirmable
	Acknowledgement
	Reset
)

// String is the type as the RFC abbreviates it.
func (t Type) String() string { return [...]string{"CON", "NON", "ACK", "RST"}[t&3] }

// Token matches answers and notifications to the request that asked for them: up to 8 bytes. It is comparable.
type Token struct {
	bytes  [8]byte
	length uint8
}

// TokenOf is the token of these bytes, of which it takes at most 8.
func TokenOf(b []byte) Token {
	var t Token
	t.length = uint8(copy(t.bytes[:], b))
	return t
}

// Bytes are the token's; the caller's copy.
func (t Token) Bytes() []byte { return slices.Clone(t.bytes[:t.length]) }

// IsZero says whether the token is the empty one.
func (t Token) IsZero() bool { return t.length == 0 }

// String is the token in hexadecimal digits.
func (t Token) String() string { return hex.EncodeToString(t.bytes[:t.length]) }

// Message is a request, an answer or a notification. The zero value is an empty confirmable message.
//
// A Message that an endpoint hands to a Handler or to a function of Config is the endpoint's again when the call returns,
// with all that its slices point to: Clone what is to be kept. One that Do returns is the caller's.
type Message struct {
	Type    Type
	Code    Code
	ID      uint16 // of datagrams; who sends through an Endpoint leaves it alone
	Token   Token
	Options []Option // in order of their numbers; use the methods to change it
	Payload []byte

	values []byte // what options that were set here point into
}

// Clone is a copy that shares nothing with m.
func (m *Message) Clone() *Message {
	size := len(m.Payload)
	for _, o := range m.Options {
		size += len(o.Value)
	}
	bytes := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		start := len(bytes)
		bytes = append(bytes, b...)
		return bytes[start:len(bytes):len(bytes)]
	}
	c := &Message{Type: m.Type, Code: m.Code, ID: m.ID, Token: m.Token, Options: make([]Option, len(m.Options))}
	for i, o := range m.Options {
		c.Options[i] = Option{ID: o.ID, Value: keep(o.Value)}
	}
	if m.Payload != nil {
		c.Payload = keep(m.Payload)
	}
	return c
}

// reset empties m and keeps its memory.
func (m *Message) reset() {
	*m = Message{Options: m.Options[:0], values: m.values[:0]}
}

// String describes m in one line, without its payload.
func (m *Message) String() string {
	var text strings.Builder
	text.WriteString(m.Type.String() + " " + m.Code.String())
	text.WriteString(" #" + strconv.Itoa(int(m.ID)) + " " + m.Token.String())
	if m.Code.IsRequest() {
		text.WriteString(" " + m.Path())
	}
	text.WriteString(" (" + strconv.Itoa(len(m.Payload)) + " bytes)")
	return text.String()
}
