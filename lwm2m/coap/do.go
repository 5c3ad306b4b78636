package coap

import (
	"context"
	"errors"
	"fmt"
)

// Do sends a request and waits for its answer, which is the caller's. A request that is not NonConfirmable is sent again
// until it is acknowledged. Bodies of any size are cut into blocks and put together. Without a token it gets a random one;
// a request with Observe gives notifications to [Config].Notifications, by the token in the answer. Two bodies for one path
// of one peer at a time need a RequestTag each (RFC 9175 section 3). Nothing of request is changed or kept.
//
// Its errors wrap ErrTimeout, ErrReset, ErrUnreachable, ErrBusy, ErrTooLarge, ErrClosed or the cause of ctx. An answer
// of class 4 or 5 is none.
func (e *Endpoint) Do(ctx context.Context, p Peer, request *Message) (*Message, error) {
	return e.DoFrom(ctx, p, request, 0)
}

// DoFrom is Do that leaves out the part of the request's body before offset from, because the peer has it: a multiple of
// Limits.BlockSize. If the peer says that it has not (4.08) that is the answer.
func (e *Endpoint) DoFrom(ctx context.Context, p Peer, request *Message, from int64) (*Message, error) {
	out := *request
	if out.Token.IsZero() {
		out.Token = e.NewToken()
	}
	response, err := e.showing(&out, func(m *Message) (*Message, error) { return e.transfer(ctx, p, m, from) })
	if err != nil {
		return nil, fmt.Errorf("%s %s of %s: %w", out.Code, out.Path(), p, err)
	}
	return response, nil
}

// showing does a request, and once more if the peer wants to be shown that we are where we say (RFC 9175 section 2.3).
func (e *Endpoint) showing(request *Message, do func(*Message) (*Message, error)) (*Message, error) {
	response, err := do(request)
	if err != nil || response.Code != Unauthorized {
		return response, err
	}
	challenge, ok := response.Opaque(Echo)
	if _, had := request.Opaque(Echo); !ok || had {
		return response, nil
	}
	again := request.derive()
	again.SetOpaque(Echo, challenge)
	return do(again)
}

// Complete gets the rest of a notification that came with its first block only, and returns it whole; one that is whole
// already is returned as it is. Request is the one that observes. The answers are to requests of their own: what has changed
// since is got as it is now.
func (e *Endpoint) Complete(ctx context.Context, p Peer, request, notification *Message) (*Message, error) {
	whole, err := e.rest(ctx, p, request, notification)
	if errors.Is(err, errChanged) {
		fresh := request.derive()
		fresh.Remove(Observe)
		fresh.Token = e.NewToken()
		whole, err = e.transfer(ctx, p, fresh, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("complete notification about %s of %s: %w", request.Path(), p, err)
	}
	return whole, nil
}

// Notify sends a notification to who observes: the answer to a request with Observe, later, with that request's token. A
// confirmable one is waited for until it is acknowledged; ErrReset says that the observer wants no more. Whether a
// non-confirmable one was refused is told to [Config].Refused. Of a payload that is longer than a block the first goes out:
// the observer asks the Handler for the others.
func (e *Endpoint) Notify(ctx context.Context, p Peer, notification *Message) error {
	if len(notification.Payload) > e.limits.BlockSize {
		exponent, _ := exponentOf(e.limits.BlockSize)
		whole := notification
		notification = whole.derive()
		e.cut(notification, whole.Payload, block{exponent: exponent})
	}
	if _, err := e.exchange(ctx, p, notification, false); err != nil {
		return fmt.Errorf("notify %s: %w", p, err)
	}
	return nil
}

// Tell sends p a non-confirmable message and waits for nothing. An answer to it goes to [Config].Notifications, by its token.
func (e *Endpoint) Tell(p Peer, m *Message) error {
	m.Type = NonConfirmable
	if _, err := e.exchange(e.life, p, m, false); err != nil {
		return fmt.Errorf("tell %s: %w", p, err)
	}
	return nil
}

// Ping asks whether p is there, and returns nil if it says so (RFC 7252 section 4.3, RFC 8323 section 5.4).
func (e *Endpoint) Ping(ctx context.Context, p Peer) error {
	ping := &Message{Type: Confirmable, Code: Empty}
	reliable := false
	if l := e.link(p.Transport); l != nil && l.traits.Reliable {
		ping.Code, ping.Token, reliable = signalPing, e.NewToken(), true
	}
	_, err := e.exchange(ctx, p, ping, reliable)
	if err != nil && (reliable || !errors.Is(err, ErrReset)) {
		return fmt.Errorf("ping %s: %w", p, err)
	}
	return nil
}
