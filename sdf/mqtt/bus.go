package mqtt

import (
	"context"
	"time"
)

// Bus carries messages: a [Broker]'s [Broker.Bus], or a [Connection]. TestBus has both keep the contract.
type Bus interface {
	// Name is the client identifier. No two of one broker's clients have the same.
	Name() string
	// Publish hands m over; its payload is not to be written to afterwards.
	Publish(ctx context.Context, m *Message) error
	// Subscribe has receive called for each message whose topic matches filter, retained ones first, until cancel is called; never for what this
	// bus published. Calls come in order, from the goroutine that reads: receive may neither block nor call the bus.
	// The message is the receiver's to keep, its payload is not to be written to.
	Subscribe(ctx context.Context, filter string, receive func(*Message)) (cancel func(), err error)
}

// Message is what a Bus carries: the parts of a PUBLISH packet (MQTT v5, 3.3) that the binding has a use for.
type Message struct {
	Topic         string
	Payload       []byte
	ContentType   string
	ResponseTopic string
	Correlation   []byte
	Pointer       string        // user property sdf-pointer
	Expiry        time.Duration // how long it is worth delivering; 0 for ever
	Retain        bool
	From          string // client that published it, if the bus knows: only the built-in broker does
	User          string // whose client that is
	To            string // user whom an answer is for; the built-in broker gives it to no other. "": whoever may hear its topic
}

// Things do what requests ask for: a gateway's side of the binding.
type Things interface {
	// Do answers r before ctx ends. Calls for one thing come one after the other.
	Do(ctx context.Context, r *Request) *Response
	// Known says whether there is a thing of that name now.
	Known(thing string) bool
}
