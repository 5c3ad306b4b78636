package coap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/plgd-dev/go-coap/v3/message"
)

// maxOptions is how many options a message may have.
const maxOptions = 64

var (
	errTruncated    = errors.New("message is truncated")
	errVersion      = errors.New("version is not 1")
	errTokenLength  = errors.New("token length is reserved")
	errEmptyPayload = errors.New("payload marker without a payload")
	errCritical     = errors.New("critical option is not understood")
)

// optionBuffers hold options in go-coap's form while its codec works on them.
var optionBuffers = sync.Pool{New: func() any {
	options := make(message.Options, 0, maxOptions)
	return &options
}}

// appendDatagram appends m in the form of RFC 7252 section 3.
func appendDatagram(dst []byte, m *Message) ([]byte, error) {
	dst = append(dst, 1<<6|byte(m.Type&3)<<4|m.Token.length, byte(m.Code), byte(m.ID>>8), byte(m.ID))
	dst = append(dst, m.Token.bytes[:m.Token.length]...)
	return appendBody(dst, m)
}

// appendBody appends what both forms of a message have in common: options and payload.
func appendBody(dst []byte, m *Message) ([]byte, error) {
	if len(m.Options) > 0 {
		var err error
		if dst, err = appendOptions(dst, m.Options); err != nil {
			return dst, err
		}
	}
	if len(m.Payload) > 0 {
		dst = append(dst, 0xff)
		dst = append(dst, m.Payload...)
	}
	return dst, nil
}

func appendOptions(dst []byte, list []Option) ([]byte, error) {
	buffer := optionBuffers.Get().(*message.Options)
	options := (*buffer)[:0]
	room, ordered := 0, true
	for i, o := range list {
		options = append(options, message.Option{ID: message.OptionID(o.ID), Value: o.Value})
		room += len(o.Value) + 5
		ordered = ordered && (i == 0 || list[i-1].ID <= o.ID)
	}
	if !ordered {
		slices.SortStableFunc(options, func(a, b message.Option) int { return int(a.ID) - int(b.ID) })
	}
	dst = slices.Grow(dst, room)
	n, err := options.Marshal(dst[len(dst) : len(dst)+room])
	clear(options)
	*buffer = options[:0]
	optionBuffers.Put(buffer)
	if err != nil {
		return dst, fmt.Errorf("encode options: %w", err)
	}
	return dst[:len(dst)+n], nil
}

// decodeDatagram reads a message into m, which points into datagram afterwards. An error that wraps errCritical leaves m
// usable for a refusal, any other does not.
func decodeDatagram(datagram []byte, m *Message) error {
	if len(datagram) < 4 {
		return errTruncated
	}
	if datagram[0]>>6 != 1 {
		return errVersion
	}
	m.Type = Type(datagram[0] >> 4 & 3)
	m.Code = Code(datagram[1])
	m.ID = binary.BigEndian.Uint16(datagram[2:])
	return decodeBody(datagram[4:], int(datagram[0]&15), m)
}

// decodeBody reads what both forms of a message have in common: token, options and payload.
func decodeBody(data []byte, tokenLength int, m *Message) error {
	if tokenLength > 8 {
		return errTokenLength
	}
	if len(data) < tokenLength {
		return errTruncated
	}
	m.Token = TokenOf(data[:tokenLength])
	data = data[tokenLength:]
	m.Options, m.Payload = m.Options[:0], nil
	if len(data) == 0 {
		return nil
	}
	buffer := optionBuffers.Get().(*message.Options)
	defer func() {
		clear(*buffer)
		*buffer = (*buffer)[:0]
		optionBuffers.Put(buffer)
	}()
	n, err := buffer.Unmarshal(data, nil)
	if err != nil {
		return fmt.Errorf("decode options: %w", err)
	}
	if n < len(data) {
		m.Payload = data[n:]
	} else if data[n-1] == 0xff && endsInMarker(data, *buffer) {
		return errEmptyPayload
	}
	rules := optionRules
	if m.Code.Class() == signalClass {
		rules = nil // each signal has options of its own, and none of them is critical
	}
	return m.takeOptions(*buffer, rules)
}

// criticalError is an option that must be understood, and is not. It wraps errCritical.
type criticalError struct {
	code   Code // of its message
	option OptionID
}

func (e *criticalError) Error() string {
	return fmt.Sprintf("option %d of %s: %v", e.option, e.code, errCritical)
}

func (e *criticalError) Unwrap() error { return errCritical }

// endsInMarker says whether the last byte of data, which is 0xff, is a payload marker rather than the end of the last option.
func endsInMarker(data []byte, options message.Options) bool {
	if len(options) == 0 {
		return true
	}
	last := options[len(options)-1].Value
	return len(last) == 0 || &last[len(last)-1] != &data[len(data)-1]
}

// takeOptions takes over decoded options: those of a wrong length or repeated without right count as not understood (RFC
// 7252 sections 5.4.3 and 5.4.5), which leaves elective ones out and makes critical ones an error.
func (m *Message) takeOptions(options message.Options, rules map[OptionID]optionRule) error {
	var refused error
	var previous OptionID
	for _, o := range options {
		id := OptionID(o.ID)
		rule, known := rules[id]
		understood := known && len(o.Value) >= int(rule.min) && len(o.Value) <= int(rule.max) && (rule.repeatable || id != previous)
		previous = id
		if known && !understood || !known && id.Critical() {
			if id.Critical() {
				refused = &criticalError{m.Code, id}
			}
			continue
		}
		m.Options = append(m.Options, Option{ID: id, Value: o.Value})
	}
	return refused
}

// optionRule says how long the value of an option that we understand may be, and whether it may be repeated.
type optionRule struct {
	min, max   uint16
	repeatable bool
}

// optionRules are those of requests and answers.
var optionRules = map[OptionID]optionRule{
	IfMatch:       {0, 8, true},
	URIHost:       {1, 255, false},
	ETag:          {1, 8, true},
	IfNoneMatch:   {0, 0, false},
	Observe:       {0, 3, false},
	URIPort:       {0, 2, false},
	LocationPath:  {0, 255, true},
	URIPath:       {0, 255, true},
	ContentFormat: {0, 2, false},
	MaxAge:        {0, 4, false},
	URIQuery:      {0, 255, true},
	Accept:        {0, 2, false},
	LocationQuery: {0, 255, true},
	Block2:        {0, 3, false},
	Block1:        {0, 3, false},
	Size2:         {0, 4, false},
	ProxyURI:      {1, 1034, false},
	ProxyScheme:   {1, 255, false},
	Size1:         {0, 4, false},
	Echo:          {1, 40, false},
	NoResponse:    {0, 1, false},
	RequestTag:    {0, 8, true},
}

// proxied says whether m asks us to pass it on, which we never do.
func proxied(m *Message) bool {
	_, uri := m.Opaque(ProxyURI)
	_, scheme := m.Opaque(ProxyScheme)
	return uri || scheme
}
