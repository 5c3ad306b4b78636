package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// observed is an observation of a server: what to watch, and what to call it there.
type observed struct {
	observation
	token    coap.Token
	sequence uint32 // of the last notification, 24 bits (RFC 7641 section 3.4)
}

const sequenceMask = 1<<24 - 1

// observe begins an observation; the reply, which is whole but for the option, becomes its first notification. An observation of the same
// paths or by the same token gives way.
func (c *Client) observe(s *server, m *coap.Message, paths []lwm2m.Path, values lwm2m.Tree, reply *coap.Message) error {
	own, err := ownAttributes(m)
	if err != nil {
		return err
	}
	if err := c.suit(paths, own); err != nil {
		return err
	}
	sequence := s.supersede(m.Token, paths)
	if len(s.observations) >= c.limits.Observations {
		return nil // an answer without the option: the server reads, and observes nothing (RFC 7641 section 4.1)
	}
	format, _ := reply.Uint(coap.ContentFormat)
	o := &observed{token: m.Token, sequence: sequence}
	o.paths, o.composite, o.own, o.format = paths, m.Code == coap.FETCH, own, lwm2m.Format(format)
	o.sampling = c.sampling(paths)
	c.refresh(s, o)
	o.begin(time.Now(), values)
	s.observations = append(s.observations, o)
	reply.SetUint(coap.Observe, o.sequence)
	c.poke()
	return nil
}

// supersede takes away the observations that a new one stands for, and returns where its sequence begins: behind theirs, for a server that
// asks again by the same token drops what seems older than what it had.
func (s *server) supersede(token coap.Token, paths []lwm2m.Path) (sequence uint32) {
	s.observations = slices.DeleteFunc(s.observations, func(o *observed) bool {
		old := o.token == token || slices.Equal(o.paths, paths)
		if old {
			sequence = (o.sequence + 1) & sequenceMask
		}
		return old
	})
	return sequence
}

// ownAttributes are those that an Observe carries (1.2).
func ownAttributes(m *coap.Message) (lwm2m.Attributes, error) {
	var queries []string
	for q := range m.All(coap.URIQuery) {
		queries = append(queries, string(q))
	}
	own, err := lwm2m.ParseAttributes(queries)
	if err != nil || own.Unset != 0 {
		return own, fmt.Errorf("observe: %w: %w", errOr(err, "an attribute without value"), ErrBadRequest)
	}
	return own, nil
}

func errOr(err error, text string) error {
	if err == nil {
		return fmt.Errorf("%s", text)
	}
	return err
}

// refresh works out which attributes hold for an observation. Those that came with it go first; a composite one takes for each what the
// first of its paths that has it says.
func (c *Client) refresh(s *server, o *observed) {
	a := o.own
	for _, p := range o.paths {
		a = a.Inherit(s.attributes.effective(p))
	}
	o.attributes = a.Inherit(c.defaults(s))
}

// defaults are pmin, pmax and the notification mode of the Server object.
func (c *Client) defaults(s *server) lwm2m.Attributes {
	var a lwm2m.Attributes
	if v, found := c.serverValue(s, serverPMin); found && v.Integer() > 0 {
		a.Has, a.PMin = a.Has|lwm2m.PMin, uint32(v.Integer())
	}
	if v, found := c.serverValue(s, serverPMax); found && v.Integer() > 0 {
		a.Has, a.PMax = a.Has|lwm2m.PMax, uint32(v.Integer())
	}
	if v, found := c.serverValue(s, serverNotificationMode); found {
		a.Has, a.Con = a.Has|lwm2m.Con, v.Integer() == 1
	}
	return a
}

// sampling is how often the paths have to be looked at, 0 if everything below them announces its changes.
func (c *Client) sampling(paths []lwm2m.Path) time.Duration {
	for _, p := range paths {
		for _, o := range c.tree.objects {
			if samples(o.Definition(), p) {
				return c.limits.Sampling
			}
		}
	}
	return 0
}

func samples(d *Definition, p lwm2m.Path) bool {
	return slices.ContainsFunc(d.Resources, func(r Resource) bool {
		if !r.Sampled || p.Depth() > 0 && p.Object() != d.ID {
			return false
		}
		return p.Depth() < 3 || p.Resource() == r.ID
	})
}

// writeAttributes is Write-Attributes (LwM2M Core 6.3.4).
func (c *Client) writeAttributes(s *server, m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	var queries []string
	for q := range m.All(coap.URIQuery) {
		queries = append(queries, string(q))
	}
	change, err := lwm2m.ParseAttributes(queries)
	if err != nil {
		return nil, fmt.Errorf("write attributes of %s: %w: %w", p, err, ErrBadRequest)
	}
	if err := c.exists(s, p); err != nil {
		return nil, err
	}
	if err := c.suit([]lwm2m.Path{p}, change); err != nil {
		return nil, err
	}
	next, err := s.attributes.write(p, change, c.limits.Attributes)
	if err != nil {
		return nil, err
	}
	if err := c.keepAttributes(s, next); err != nil {
		return nil, err
	}
	s.attributes = next
	for _, o := range s.observations {
		c.refresh(s, o)
	}
	c.poke()
	return &coap.Message{Code: coap.Changed}, nil
}

// exists tells whether there is something at a path that attributes may be attached to.
func (c *Client) exists(s *server, p lwm2m.Path) error {
	o := c.tree.object(p)
	if o == nil || p.Depth() > 1 && !c.tree.has(p.Truncate(2)) {
		return fmt.Errorf("write attributes of %s: %w", p, ErrNotFound)
	}
	if p.Depth() > 1 && !c.permit(s, mayRead)(p.Truncate(2)) {
		return fmt.Errorf("write attributes of %s: %w", p, ErrUnauthorized)
	}
	if p.Depth() < 3 {
		return nil
	}
	r, found := o.Definition().Resource(p.Resource())
	switch {
	case !found, p.Depth() == 4 && !r.Multiple:
		return fmt.Errorf("write attributes of %s: %w", p, ErrNotFound)
	case !r.Can(Readable):
		return fmt.Errorf("write attributes of %s: %w", p, ErrNotAllowed)
	}
	return nil
}

// suit tells whether attributes mean something for what they are to be attached to: thresholds need one number.
func (c *Client) suit(paths []lwm2m.Path, a lwm2m.Attributes) error {
	for _, p := range paths {
		kind, multiple, _ := c.tree.Kind(p)
		if multiple && p.Depth() == 3 {
			kind = lwm2m.KindNone
		}
		if !a.ValidFor(kind) {
			return fmt.Errorf("attributes %s of %s: they need a single number, an edge a boolean: %w", a, p, ErrBadRequest)
		}
	}
	return nil
}
