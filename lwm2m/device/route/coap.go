package route

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
)

// hopLimit is the Hop-Limit option (RFC 8768), and hopLimitReached its answer, 5.08.
const (
	hopLimit        coap.OptionID = 16
	hopLimitReached coap.Code     = 5<<5 | 8
)

// Poster sends items by CoAP.
type Poster struct {
	Endpoint *coap.Endpoint
	Dialer   coap.Dialer
}

// Send posts an item.
func (p Poster) Send(ctx context.Context, to End, i Item) error {
	peer, err := p.Dialer.Dial(ctx, to.Address)
	if err != nil {
		return fmt.Errorf("post to coap://%s%s: %w", to.Address, to.Name, err)
	}
	m := &coap.Message{Code: coap.POST, Payload: i.Payload}
	m.SetPath(to.Name)
	m.SetUint(coap.ContentFormat, uint32(i.Format))
	m.SetUint(hopLimit, uint32(MaxHops-i.Hops))
	answer, err := p.Endpoint.Do(ctx, peer, m)
	switch {
	case err != nil:
		return fmt.Errorf("post to coap://%s%s: %w", to.Address, to.Name, err)
	case answer.Code == hopLimitReached:
		return fmt.Errorf("post to coap://%s%s: %w", to.Address, to.Name, runner.ErrLoop)
	case !answer.Code.IsSuccess():
		return fmt.Errorf("post to coap://%s%s: it answers %s", to.Address, to.Name, answer.Code)
	}
	return nil
}

// Serve answers a POST or PUT to a path that a route begins at; it is a coap.Handler.
func (r *Router) Serve(_ context.Context, _ coap.Peer, request, response *coap.Message) {
	if request.Code != coap.POST && request.Code != coap.PUT {
		response.Code = coap.MethodNotAllowed
		return
	}
	if len(request.Payload) > maxPayload {
		response.Code = coap.EntityTooLarge
		return
	}
	i := Item{Payload: append([]byte{}, request.Payload...), Format: lwm2m.FormatText}
	if f, ok := request.Uint(coap.ContentFormat); ok && f <= 0xffff {
		i.Format = lwm2m.Format(f)
	}
	if left, ok := request.Uint(hopLimit); ok {
		i.Hops = MaxHops - int(min(left, MaxHops)) // what a neighbour says above our own bound counts as fresh
	}
	i.Hops++
	routes, err := r.Post(request.Path(), i)
	switch {
	case routes == 0:
		response.Code = coap.NotFound
	case err == nil:
		response.Code = coap.Changed
	case errors.Is(err, runner.ErrLoop):
		response.Code = hopLimitReached
	case errors.Is(err, runner.ErrValue):
		response.Code = coap.BadRequest
	default:
		response.Code = coap.ServiceUnavailable
	}
}
