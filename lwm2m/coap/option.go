package coap

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
	"strings"
)

// OptionID is the number of an option. An odd one is critical: who does not know it refuses the message (RFC 7252 section 5.4.1).
type OptionID uint16

// Options (RFC 7252 section 5.10, RFC 7641, RFC 7959, RFC 7967, RFC 8613, RFC 9175).
const (
	IfMatch       OptionID = 1
	URIHost       OptionID = 3
	ETag          OptionID = 4
	IfNoneMatch   OptionID = 5
	Observe       OptionID = 6
	URIPort       OptionID = 7
	LocationPath  OptionID = 8
	URIPath       OptionID = 11
	ContentFormat OptionID = 12
	MaxAge        OptionID = 14
	URIQuery      OptionID = 15
	Accept        OptionID = 17
	LocationQuery OptionID = 20
	Block2        OptionID = 23
	Block1        OptionID = 27
	Size2         OptionID = 28
	ProxyURI      OptionID = 35
	ProxyScheme   OptionID = 39
	Size1         OptionID = 60
	Echo          OptionID = 252
	NoResponse    OptionID = 258
	RequestTag    OptionID = 292
)

// Critical says whether who does not know the option must refuse its message.
func (id OptionID) Critical() bool { return id&1 == 1 }

// Option is one option of a message.
type Option struct {
	ID    OptionID
	Value []byte
}

// Opaque is the first value of an option, and whether there is one.
func (m *Message) Opaque(id OptionID) ([]byte, bool) {
	for i := range m.Options {
		if m.Options[i].ID == id {
			return m.Options[i].Value, true
		}
	}
	return nil, false
}

// Uint is the first value of an option as the number that it is (RFC 7252 section 3.2), and whether there is one that is a number.
func (m *Message) Uint(id OptionID) (uint32, bool) {
	value, ok := m.Opaque(id)
	if !ok || len(value) > 4 {
		return 0, false
	}
	var n uint32
	for _, b := range value {
		n = n<<8 | uint32(b)
	}
	return n, true
}

// All are the values of a repeatable option, in order.
func (m *Message) All(id OptionID) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range m.Options {
			if m.Options[i].ID == id && !yield(m.Options[i].Value) {
				return
			}
		}
	}
}

// Path is Uri-Path as text, segments joined by "/", always with a leading one.
func (m *Message) Path() string { return m.path(URIPath) }

// Location is Location-Path as text, as Path.
func (m *Message) Location() string { return m.path(LocationPath) }

func (m *Message) path(id OptionID) string {
	var text strings.Builder
	for segment := range m.All(id) {
		text.WriteByte('/')
		text.Write(segment)
	}
	if text.Len() == 0 {
		return "/"
	}
	return text.String()
}

// Query is the value of the query parameter name ("" for one without "="), and whether it is there.
func (m *Message) Query(name string) (string, bool) {
	for q := range m.All(URIQuery) {
		if len(q) >= len(name) && string(q[:len(name)]) == name {
			switch {
			case len(q) == len(name):
				return "", true
			case q[len(name)] == '=':
				return string(q[len(name)+1:]), true
			}
		}
	}
	return "", false
}

// SetOpaque replaces all values of an option by one, which it copies.
func (m *Message) SetOpaque(id OptionID, value []byte) {
	m.Remove(id)
	m.AddOpaque(id, value)
}

// AddOpaque adds a value after those that the option has; it copies it.
func (m *Message) AddOpaque(id OptionID, value []byte) {
	start := len(m.values)
	m.values = append(m.values, value...)
	m.insert(Option{ID: id, Value: m.values[start:len(m.values):len(m.values)]})
}

// SetUint replaces all values of an option by the number n in its shortest form.
func (m *Message) SetUint(id OptionID, n uint32) {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	m.SetOpaque(id, b[bits.LeadingZeros32(n)/8:])
}

// AddString adds a text as AddOpaque does.
func (m *Message) AddString(id OptionID, value string) {
	start := len(m.values)
	m.values = append(m.values, value...)
	m.insert(Option{ID: id, Value: m.values[start:len(m.values):len(m.values)]})
}

// SetPath replaces Uri-Path by the segments of path; empty segments are left out.
func (m *Message) SetPath(path string) { m.setPath(URIPath, path) }

// SetLocation replaces Location-Path as SetPath does.
func (m *Message) SetLocation(path string) { m.setPath(LocationPath, path) }

func (m *Message) setPath(id OptionID, path string) {
	m.Remove(id)
	for path != "" {
		segment, rest, _ := strings.Cut(path, "/")
		if segment != "" {
			m.AddString(id, segment)
		}
		path = rest
	}
}

// AddQuery adds one query parameter, as "lt=60".
func (m *Message) AddQuery(query string) { m.AddString(URIQuery, query) }

// Remove removes all values of an option.
func (m *Message) Remove(id OptionID) {
	m.Options = slices.DeleteFunc(m.Options, func(o Option) bool { return o.ID == id })
}

// insert adds o behind those of its number, so that Options stay in order.
func (m *Message) insert(o Option) {
	at := len(m.Options)
	for at > 0 && m.Options[at-1].ID > o.ID {
		at--
	}
	m.Options = slices.Insert(m.Options, at, o)
}
