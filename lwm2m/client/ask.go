package client

import (
	"context"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// busyError is a server's request to come back later (5.03, RFC 7252 section 5.9.3.4).
type busyError struct{ wait time.Duration }

func (e *busyError) Error() string { return fmt.Sprintf("server asks to come back in %v", e.wait) }

// Bounds of what a Max-Age makes the device wait; one minute is the standard value of the option.
const (
	standardMaxAge = time.Minute
	longestMaxAge  = 24 * time.Hour
)

// ask does one exchange and obeys what the server says about it beyond the answer: an Echo to be sent back (RFC 9175 section 2.4), once, and
// a wait.
func (c *Client) ask(ctx context.Context, e Endpoint, m *coap.Message) (*coap.Message, error) {
	reply, err := e.Do(ctx, m)
	if err != nil {
		return nil, err
	}
	if echo, given := reply.Opaque(coap.Echo); given && reply.Code == coap.Unauthorized && len(echo) <= 40 {
		m.SetOpaque(coap.Echo, echo)
		if reply, err = e.Do(ctx, m); err != nil {
			return nil, err
		}
	}
	if reply.Code != coap.ServiceUnavailable && reply.Code != coap.TooManyRequests {
		return reply, nil
	}
	wait := standardMaxAge
	if age, given := reply.Uint(coap.MaxAge); given {
		wait = min(time.Duration(age)*time.Second, longestMaxAge)
	}
	return nil, &busyError{wait}
}
