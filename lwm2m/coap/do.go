package coap

import (
	"context"
	"fmt"
)

// Do sends a request and waits for its answer, which is the caller's. A request that is not NonConfirmable is sent again
// until it is acknowledged. Bodies of any size are cut into blocks and put together. Without a token it gets a random one;
// a request with Observe gives notifications to [Config].Notifications, by the token in the answer.
//
// Its errors wrap ErrTimeout, ErrReset, ErrUnreachable, ErrBusy, ErrTooLarge, ErrClosed or the cause of ctx. An answer
// of class 4 or 5 is none.
func (e *Endpoint) Do(ctx context.Context, p Peer, request *Message) (*Message, error) {
	out := *request
	if out.Token.IsZero() {
		out.Token = e.NewToken()
	}
	response, err := e.exchange(ctx, p, &out, true)
	if err != nil {
		return nil, fmt.Errorf("%s %s of %s: %w", out.Code, out.Path(), p, err)
	}
	return response, nil
}

// Notify sends a notification to who observes: the answer to a request with Observe, later, with that request's token. A
// confirmable one is waited for until it is acknowledged; ErrReset says that the observer wants no more. Whether a
// non-confirmable one was refused is told to [Config].Refused.
func (e *Endpoint) Notify(ctx context.Context, p Peer, notification *Message) error {
	if _, err := e.exchange(ctx, p, notification, false); err != nil {
		return fmt.Errorf("notify %s: %w", p, err)
	}
	return nil
}

// Ping asks whether p is there, and returns nil if it says so.
func (e *Endpoint) Ping(ctx context.Context, p Peer) error {
	_, err := e.exchange(ctx, p, &Message{Type: Confirmable, Code: Empty}, false)
	if err != nil && !isReset(err) {
		return fmt.Errorf("ping %s: %w", p, err)
	}
	return nil
}
