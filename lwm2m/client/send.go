package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// ErrMuted is Send's answer when no server takes what the device would send.
var ErrMuted = errors.New("no server that is registered with takes Send")

// Send reports values to every server that the device is registered with and that has not muted it (LwM2M Core 6.4.7; resource 23 of the
// Server object, which mutes unless it is there and false). The values need not come from the object tree; with a time each they are a
// history. Send must not be called from within an object's method.
func (c *Client) Send(ctx context.Context, values lwm2m.Tree) error {
	type addressee struct {
		server     uint16
		connection *connection
		values     lwm2m.Tree
	}
	var to []addressee
	c.mu.Lock()
	for _, s := range c.servers {
		if s.now() == Registered && s.connection != nil && !c.serverFlag(s, serverMuteSend, true) {
			to = append(to, addressee{s.short, s.connection, c.visible(s, values)})
		}
	}
	c.mu.Unlock()
	if len(to) == 0 {
		return fmt.Errorf("send %d values: %w", len(values), ErrMuted)
	}
	var problems []error
	for _, a := range to {
		if err := c.sendTo(ctx, a.connection, a.values); err != nil {
			problems = append(problems, fmt.Errorf("send to server %d: %w", a.server, err))
		}
	}
	return errors.Join(problems...)
}

// SendPaths reports what the object tree has at some paths.
func (c *Client) SendPaths(ctx context.Context, paths ...lwm2m.Path) error {
	c.mu.Lock()
	values := lwm2m.Tree{}
	var err error
	for _, p := range paths {
		if values, err = c.tree.read(values, p, nil); err != nil {
			break
		}
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	values.Sort()
	return c.Send(ctx, withoutDoubles(values))
}

// visible are the values that a server may read.
func (c *Client) visible(s *server, values lwm2m.Tree) lwm2m.Tree {
	var out lwm2m.Tree
	for _, v := range values {
		if c.tree.rights(s.short, v.Path.Truncate(2))&mayRead != 0 {
			out = append(out, v)
		}
	}
	return out
}

func (c *Client) sendTo(ctx context.Context, to *connection, values lwm2m.Tree) error {
	m, err := c.encode(lwm2m.FormatSenMLCBOR, lwm2m.Path{}, values)
	if err != nil {
		return err
	}
	m.Code = coap.POST
	m.SetPath(to.target.Prefix + "/dp")
	reply, err := c.ask(ctx, to, m)
	if err != nil {
		return err
	}
	if reply.Code != coap.Changed {
		return fmt.Errorf("%w: %s", errRejected, reply.Code)
	}
	return nil
}
