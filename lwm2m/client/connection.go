package client

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Network reaches servers. [Internet] is the one for UDP, DTLS and TCP.
type Network interface {
	// Connect makes an endpoint that talks to the server and serves its requests with the handler. Close ends it; so does the end of ctx.
	Connect(ctx context.Context, a Account, t Target, h coap.Handler) (Endpoint, error)
}

// Endpoint is a CoAP endpoint with one other end.
type Endpoint interface {
	// Do asks and waits for the answer.
	Do(ctx context.Context, request *coap.Message) (*coap.Message, error)
	// Notify sends a notification; a confirmable one waits until it is acknowledged.
	Notify(ctx context.Context, notification *coap.Message) error
	// Listen turns the receiver off, which drops whatever comes, and on again. Sending turns it on.
	Listen(on bool)
	// Heard is when something last came or went.
	Heard() time.Time
	Close() error
}

// connection is an endpoint with what the engine knows of it.
type connection struct {
	Endpoint
	target Target
}
