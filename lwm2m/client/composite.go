package client

import (
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

// fetch is Read-Composite, Observe-Composite or its end (LwM2M Core 6.3.7, 6.4.5). Paths that do not exist, or that the server may not
// read, are left out of the answer.
func (c *Client) fetch(s *server, m *coap.Message) (*coap.Message, error) {
	if len(m.Payload) > c.limits.Payload {
		return nil, ErrTooLarge
	}
	f, given := m.Uint(coap.ContentFormat)
	if !given || !readable(lwm2m.Format(f)) || lwm2m.Format(f).Single() {
		return nil, fmt.Errorf("read several paths: %w", ErrFormat)
	}
	paths, err := codec.DecodePaths(lwm2m.Format(f), m.Payload)
	if err != nil {
		return nil, fmt.Errorf("read several paths: %w: %w", err, ErrBadRequest)
	}
	if len(paths) > c.limits.Paths {
		return nil, fmt.Errorf("read %d paths: %w", len(paths), ErrTooLarge)
	}
	observe, observes := m.Uint(coap.Observe)
	if observes && observe == 1 {
		s.cancel(m.Token)
	}
	values, err := c.readPaths(s, paths)
	if err != nil {
		return nil, err
	}
	reply, err := c.content(m, lwm2m.Path{}, values)
	if err == nil && observes && observe == 0 {
		err = c.observe(s, m, paths, values, reply)
	}
	return reply, err
}

func (c *Client) readPaths(s *server, paths []lwm2m.Path) (lwm2m.Tree, error) {
	var values lwm2m.Tree
	for _, p := range paths {
		if p.Depth() > 0 && (p.Object() == objectSecurity || p.Object() == objectOSCORE) {
			return nil, fmt.Errorf("read %s: %w", p, ErrUnauthorized)
		}
		start := len(values)
		more, err := c.tree.read(values, p, c.permit(s, mayRead))
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrUnauthorized), errors.Is(err, ErrNotAllowed):
			values = values[:start]
		case err != nil:
			return nil, err
		default:
			values = more
		}
	}
	values.Sort()
	return withoutDoubles(values), nil
}

// withoutDoubles takes out what overlapping paths have read twice, and the stand-ins of what turned out to be empty.
func withoutDoubles(t lwm2m.Tree) lwm2m.Tree {
	out := t[:0]
	for _, r := range t {
		if r.Value.IsNone() || len(out) > 0 && out[len(out)-1].Path == r.Path {
			continue
		}
		out = append(out, r)
	}
	return out
}

// ipatch is Write-Composite (LwM2M Core 6.3.8): all of it is checked before any of it is written. An object may still refuse its own part,
// after others have taken theirs: a device cannot undo what an object has done.
func (c *Client) ipatch(s *server, m *coap.Message) (*coap.Message, error) {
	if f, given := m.Uint(coap.ContentFormat); given && lwm2m.Format(f).Single() {
		return nil, fmt.Errorf("write several paths: %w", ErrFormat)
	}
	values, err := c.decode(m, lwm2m.Path{})
	if err != nil {
		return nil, err
	}
	instances, err := c.checkComposite(s, values)
	if err != nil {
		return nil, err
	}
	for _, p := range instances {
		if err := c.tree.write(p, values.Below(p), Update); err != nil {
			return nil, err
		}
		c.written(p)
	}
	return &coap.Message{Code: coap.Changed}, nil
}

// checkComposite returns the instances that a Write-Composite touches.
func (c *Client) checkComposite(s *server, values lwm2m.Tree) ([]lwm2m.Path, error) {
	var instances []lwm2m.Path
	for _, v := range values {
		p := v.Path.Truncate(2)
		if len(instances) > 0 && instances[len(instances)-1] == p {
			continue
		}
		o := c.tree.object(p)
		switch {
		case p.Depth() < 2 || p.Object() == objectSecurity || p.Object() == objectOSCORE:
			return nil, fmt.Errorf("write %s: %w", v.Path, ErrUnauthorized)
		case o == nil || !c.tree.has(p):
			return nil, fmt.Errorf("write %s: %w", v.Path, ErrNotFound)
		case c.tree.rights(s.short, p)&mayWrite == 0:
			return nil, fmt.Errorf("write %s: %w", v.Path, ErrUnauthorized)
		}
		if err := checkWrite(o.Definition(), p, values.Below(p)); err != nil {
			return nil, err
		}
		instances = append(instances, p)
		if len(instances) > c.limits.Paths {
			return nil, ErrTooLarge
		}
	}
	return instances, nil
}
