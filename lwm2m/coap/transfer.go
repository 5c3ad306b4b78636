package coap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
)

// errBlocks is the cause of a transfer that the peer's blocks make no sense of.
var errBlocks = errors.New("blocks do not fit together")

// restarts is how many times a transfer begins anew because what is transferred changed meanwhile.
const restarts = 2

// derive is a message with m's header, options and payload whose options may be changed without changing m's.
func (m *Message) derive() *Message {
	d := *m
	d.Options = append(make([]Option, 0, len(m.Options)+3), m.Options...)
	d.values = nil
	return &d
}

// transfer sends a request, its body from offset from on, and gets the answer, both in blocks if they must be.
func (e *Endpoint) transfer(ctx context.Context, p Peer, request *Message, from int64) (*Message, error) {
	for attempt := 0; ; attempt++ {
		response, err := e.send(ctx, p, request, from)
		if err != nil {
			return nil, err
		}
		whole, err := e.rest(ctx, p, request, response)
		if errors.Is(err, errChanged) && attempt < restarts && isSafe(request.Code) {
			continue
		}
		return whole, err
	}
}

// isSafe says whether a request may be handled twice without harm.
func isSafe(c Code) bool { return c == GET || c == FETCH }

// send sends the request with its body, and returns the first message of the answer.
func (e *Endpoint) send(ctx context.Context, p Peer, request *Message, from int64) (*Message, error) {
	if len(request.Payload) <= e.limits.BlockSize && from == 0 {
		return e.exchange(ctx, p, request, true)
	}
	return e.upload(ctx, p, request, from)
}

// upload sends a body in blocks (RFC 7959 section 2.5), from offset from on.
func (e *Endpoint) upload(ctx context.Context, p Peer, request *Message, from int64) (*Message, error) {
	exponent, _ := exponentOf(e.limits.BlockSize)
	b := block{exponent: exponent}
	if from < 0 || from >= int64(len(request.Payload)) || from%int64(b.size()) != 0 {
		return nil, fmt.Errorf("begin a body of %d bytes at %d: %w", len(request.Payload), from, errBlocks)
	}
	again := from == 0
	for offset := from; ; {
		b = b.at(offset)
		if b.number > maxBlockNumber {
			return nil, fmt.Errorf("body of %d bytes: %w", len(request.Payload), ErrTooLarge)
		}
		part := request.Payload[offset:min(offset+int64(b.size()), int64(len(request.Payload)))]
		b.more = offset+int64(len(part)) < int64(len(request.Payload))
		response, err := e.exchange(ctx, p, request.part(b, part, offset == from), true)
		if err != nil {
			return nil, err
		}
		theirs, has, valid := response.blockOf(Block1)
		smaller := has && valid && theirs.exponent < b.exponent
		switch {
		case response.Code == EntityTooLarge && smaller && offset == from:
			b.exponent = theirs.exponent // RFC 7959 section 2.9.3
			continue
		case response.Code == EntityIncomplete && again && offset > 0:
			again, offset = false, 0
			continue
		case !response.Code.IsSuccess() || !b.more:
			return response, nil
		}
		offset += int64(len(part))
		if smaller {
			b.exponent = theirs.exponent
		}
	}
}

// part is the request with one block of its body.
func (m *Message) part(b block, part []byte, first bool) *Message {
	d := m.derive()
	d.SetUint(Block1, b.value())
	if first {
		d.SetUint(Size1, uint32(len(m.Payload)))
	}
	d.Payload = part
	return d
}

// errChanged is the cause of a transfer whose representation changed between two blocks.
var errChanged = fmt.Errorf("the representation changed: %w", errBlocks)

// rest gets the blocks of an answer that follow its first one (RFC 7959 section 2.4), and returns it whole.
func (e *Endpoint) rest(ctx context.Context, p Peer, request, first *Message) (*Message, error) {
	b, has, valid := first.blockOf(Block2)
	switch {
	case !has || valid && b.number == 0 && !b.more:
		return first, nil
	case !valid || b.number != 0:
		return nil, fmt.Errorf("first block of the answer: %w", errBlocks)
	}
	if size, ok := first.Uint(Size2); ok && int64(size) > int64(e.limits.Body) {
		return nil, fmt.Errorf("answer of %d bytes: %w", size, ErrTooLarge)
	}
	whole := first.derive()
	whole.Remove(Block2)
	whole.Payload = slices.Clone(first.Payload)
	for m := first; b.more; {
		if len(m.Payload) != b.size() {
			return nil, fmt.Errorf("block %d of the answer has %d bytes: %w", b.number, len(m.Payload), errBlocks)
		}
		if len(whole.Payload) >= e.limits.Body {
			return nil, fmt.Errorf("answer of more than %d bytes: %w", len(whole.Payload), ErrTooLarge)
		}
		var err error
		if m, err = e.exchange(ctx, p, e.next(request, b, int64(len(whole.Payload))), true); err != nil {
			return nil, err
		}
		if b, err = follows(m, first, int64(len(whole.Payload))); err != nil {
			return nil, err
		}
		whole.Payload = append(whole.Payload, m.Payload...)
	}
	return whole, nil
}

// next asks for the block of an answer that begins at offset.
func (e *Endpoint) next(request *Message, b block, offset int64) *Message {
	d := request.derive()
	for _, id := range []OptionID{Observe, Block1, Size1, Size2} {
		d.Remove(id)
	}
	d.SetUint(Block2, block{number: b.at(offset).number, exponent: b.exponent}.value())
	d.Token = e.NewToken()
	if d.Code != FETCH || len(d.Payload) > e.limits.BlockSize {
		d.Payload = nil // of FETCH it is part of what is asked for (RFC 8132 section 2)
		d.Remove(ContentFormat)
	}
	return d
}

// follows checks that m is the block at offset of what first began.
func follows(m, first *Message, offset int64) (block, error) {
	b, has, valid := m.blockOf(Block2)
	was, _ := first.Opaque(ETag)
	is, _ := m.Opaque(ETag)
	switch {
	case m.Code == EntityIncomplete || m.Code == first.Code && !bytes.Equal(was, is):
		return b, errChanged
	case m.Code != first.Code:
		return b, fmt.Errorf("block at %d is answered %s: %w", offset, m.Code, errBlocks)
	case !has || !valid || b.offset() != offset:
		return b, fmt.Errorf("block at %d is another one: %w", offset, errBlocks)
	}
	return b, nil
}
