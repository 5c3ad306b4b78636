package coap

import (
	"context"
	"fmt"
)

// Part gets one block of an answer, for who keeps a long one as it comes and goes on after a break: the block at offset, which is a multiple of
// Limits.BlockSize or where the part before ended. More says that others follow. An answer that is not 2.05 is returned as it came; an ETag that
// differs from that of the part before says that it is of another body. Its errors are those of Do.
func (e *Endpoint) Part(ctx context.Context, p Peer, request *Message, offset int64) (part *Message, more bool, err error) {
	exponent, _ := exponentOf(e.limits.BlockSize)
	asked := block{exponent: exponent}
	for asked.exponent > 0 && offset%int64(asked.size()) != 0 { // the peer's blocks may be smaller than ours
		asked.exponent--
	}
	asked = asked.at(offset)
	fail := func(err error) (*Message, bool, error) {
		return nil, false, fmt.Errorf("%s %s of %s from byte %d: %w", request.Code, request.Path(), p, offset, err)
	}
	if asked.number > maxBlockNumber || asked.offset() != offset {
		return fail(errBlocks)
	}
	out := request.derive()
	out.Token = e.NewToken()
	out.SetUint(Block2, asked.value())
	response, err := e.showing(out, func(m *Message) (*Message, error) { return e.exchange(ctx, p, m, true) })
	if err != nil {
		return fail(err)
	}
	got, has, valid := response.blockOf(Block2)
	switch {
	case response.Code != Content, !has && offset == 0:
		return response, false, nil
	case !has || !valid || got.offset() != offset || got.more && len(response.Payload) != got.size():
		return fail(errBlocks)
	}
	return response, got.more, nil
}
