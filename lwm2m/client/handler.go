package client

import (
	"context"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// handler serves one registered server's requests.
type handler struct {
	client *Client
	server *server
}

var _ coap.Streamer = handler{}

func (c *Client) handler(s *server) coap.Handler { return handler{c, s} }

// Serve implements coap.Handler. Who has no registration here gets nothing done (LwM2M Core 6.3: operations follow a registration).
func (h handler) Serve(_ context.Context, _ coap.Peer, request, response *coap.Message) {
	give(response, h.client.answer(h.server, request))
}

// give moves an answer to where the endpoint wants it.
func give(response, reply *coap.Message) {
	response.Code, response.Payload = reply.Code, reply.Payload
	for _, o := range reply.Options {
		response.AddOpaque(o.ID, o.Value)
	}
}

// Refused ends the observation whose notification the server has reset.
func (h handler) Refused(token coap.Token) {
	h.client.mu.Lock()
	defer h.client.mu.Unlock()
	h.server.cancel(token)
}

// Sink takes the blocks of a resource that is streamed to its object.
func (h handler) Sink(_ coap.Peer, request *coap.Message) coap.Sink {
	p, err := lwm2m.ParsePath(request.Path())
	f, formatted := request.Uint(coap.ContentFormat)
	if err != nil || request.Code != coap.PUT || p.Depth() != 3 || formatted && lwm2m.Format(f).Canonical() != lwm2m.FormatOpaque {
		return nil
	}
	h.client.mu.Lock()
	defer h.client.mu.Unlock()
	if s, streams := h.client.tree.object(p).(Streamer); !streams || !s.Streams(p) {
		return nil
	}
	return sink{h, p}
}

// sink is one body on its way to an object.
type sink struct {
	handler
	path lwm2m.Path
}

// Block hands a block on, after the checks of a Write.
func (k sink) Block(_ context.Context, _ coap.Peer, offset int64, more bool, request, response *coap.Message) {
	c := k.client
	c.mu.Lock()
	defer c.mu.Unlock()
	size, _ := request.Uint(coap.Size1)
	err := c.mayWrite(k.server, k.path)
	if err == nil {
		err = c.tree.stream(k.path, Block{Offset: offset, Data: request.Payload, Last: !more, Size: int64(size)})
	}
	switch {
	case err != nil:
		give(response, refusal(err))
	case !more:
		response.Code = coap.Changed
	}
}
