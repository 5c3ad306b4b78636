package coap

import (
	"encoding/binary"
	"hash/maphash"
	"log/slog"
)

// fit writes the response into j.out: whole, or the block of it that is asked for, or as large a block as may go out. It
// says whether there is anything to send.
func (j *job) fit(asked block) bool {
	l, response := j.key.link, &j.response
	limit := j.endpoint.answerLimit(j)
	body := response.Payload
	b, sliced, valid := j.slice(asked)
	if !valid {
		j.refuse(BadRequest)
	}
	for {
		if sliced {
			j.endpoint.cut(response, body, b)
		}
		var err error
		if j.out, err = l.appendMessage(j.out[:0], response); err != nil {
			j.endpoint.log.Error("CoAP answer cannot be written", slog.String("peer", j.peer.String()), slog.Any("error", err))
			return false
		}
		switch {
		case len(j.out) <= limit:
			if sliced && b.number == 0 && len(body) > len(response.Payload) {
				j.keep(body)
			}
			return true
		case response.Code.IsSuccess() && sliced && b.exponent > 0:
			b = b.smaller(b.exponent - 1)
		case response.Code.IsSuccess() && !sliced && len(body) > 16:
			b, sliced = block{exponent: j.endpoint.exponent()}, true
		case len(response.Payload) > 0 && !response.Code.IsSuccess():
			response.Payload = nil // a diagnostic that people can do without
		case j.challenged || j.verified:
			return false // even that is too much for so short a request, or the Handler's options are too many
		default:
			j.challenge()
			sliced = false
		}
	}
}

// slice says which block of the response goes out, and whether any rather than the whole. It is not valid beyond the end.
func (j *job) slice(asked block) (b block, sliced, valid bool) {
	if !j.response.Code.IsSuccess() {
		return block{}, false, true
	}
	length := int64(len(j.response.Payload))
	if _, has := j.message.Opaque(Block2); has {
		b = asked.smaller(j.endpoint.exponent())
		return b, b.offset() < length || b.number == 0, b.offset() < length || b.number == 0
	}
	b = block{exponent: j.endpoint.exponent()}
	return b, length > int64(b.size()) && !j.key.link.takes(int(length)), true
}

// exponent is that of the greatest block.
func (e *Endpoint) exponent() uint8 {
	exponent, _ := exponentOf(e.limits.BlockSize)
	return exponent
}

// takes says whether a body of n bytes goes over l without being cut.
func (l *link) takes(n int) bool { return l.traits.Reliable && n+512 <= l.maxMessage() }

// refuse replaces the response by an error.
func (j *job) refuse(code Code) {
	token, id, kind := j.response.Token, j.response.ID, j.response.Type
	j.response.reset()
	j.response.Token, j.response.ID, j.response.Type, j.response.Code = token, id, kind, code
}

// keep keeps an answer of several blocks for who asks for the others.
func (j *job) keep(body []byte) {
	kept := j.response.derive()
	for _, id := range []OptionID{Observe, Block1, Block2, Size2} {
		kept.Remove(id)
	}
	kept.Payload = body
	j.endpoint.bodies.keep(j.bodyKey(outgoing), kept.Clone(), j.endpoint.now())
}

// cut makes of a message the block b of its body.
func (e *Endpoint) cut(m *Message, body []byte, b block) {
	from := min(b.offset(), int64(len(body)))
	to := min(from+int64(b.size()), int64(len(body)))
	b.more = to < int64(len(body))
	m.Payload = body[from:to]
	m.SetUint(Block2, b.value())
	e.tag(m, body)
	if b.number == 0 && b.more {
		m.SetUint(Size2, uint32(len(body)))
	}
}

// tag gives a message an entity tag if it has none, by which the blocks of one body are known.
func (e *Endpoint) tag(m *Message, body []byte) {
	if _, has := m.Opaque(ETag); !has {
		m.SetOpaque(ETag, binary.BigEndian.AppendUint64(nil, maphash.Bytes(e.seed, body))[:4])
	}
}
