package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// answer serves a request of a registered server: LwM2M Core 1.2 §6.3 and §6.4 (Device Management, Service Enablement, Information
// Reporting).
func (c *Client) answer(s *server, m *coap.Message) *coap.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	reply, err := c.dispatch(s, m)
	if err != nil {
		return refusal(err)
	}
	return reply
}

func (c *Client) dispatch(s *server, m *coap.Message) (*coap.Message, error) {
	p, err := lwm2m.ParsePath(m.Path())
	if err != nil {
		return nil, ErrNotFound
	}
	composite := m.Code == coap.FETCH || m.Code == coap.IPATCH
	if p.Depth() == 0 != composite {
		return nil, ErrNotAllowed
	}
	if p.Depth() > 0 && (p.Object() == objectSecurity || p.Object() == objectOSCORE) {
		return nil, fmt.Errorf("%s is for the bootstrap server: %w", p, ErrUnauthorized)
	}
	switch m.Code {
	case coap.GET:
		return c.get(s, m, p)
	case coap.FETCH:
		return c.fetch(s, m)
	case coap.IPATCH:
		return c.ipatch(s, m)
	case coap.PUT:
		return c.put(s, m, p)
	case coap.POST:
		return c.post(s, m, p)
	case coap.DELETE:
		return c.remove(s, p)
	default:
		return nil, ErrNotAllowed
	}
}

// get is Read, Discover, Observe or its end.
func (c *Client) get(s *server, m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	if accept, given := m.Uint(coap.Accept); given && lwm2m.Format(accept) == lwm2m.FormatLinks {
		return c.discover(s, m, p)
	}
	observe, observes := m.Uint(coap.Observe)
	if observes && observe == 1 {
		s.cancel(m.Token)
	}
	values, err := c.tree.read(nil, p, c.permit(s, mayRead))
	if err != nil {
		return nil, err
	}
	reply, err := c.content(m, p, values)
	if err == nil && observes && observe == 0 {
		err = c.observe(s, m, []lwm2m.Path{p}, values, reply)
	}
	return reply, err
}

func (c *Client) discover(s *server, m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	depth, err := discoverDepth(m, p)
	if err != nil {
		return nil, err
	}
	links, err := c.tree.discover(p, depth, s.attributes, c.permit(s, mayRead))
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", p, err)
	}
	reply := &coap.Message{Code: coap.Content, Payload: links.Append(nil)}
	reply.SetUint(coap.ContentFormat, uint32(lwm2m.FormatLinks))
	return reply, nil
}

// discoverDepth: an object shows its instances and their resources, an instance its resources, a resource its instances; "depth" (1.2)
// says otherwise.
func discoverDepth(m *coap.Message, p lwm2m.Path) (int, error) {
	text, given := m.Query("depth")
	if !given {
		return max(3-p.Depth(), 1), nil
	}
	if len(text) != 1 || text[0] < '0' || text[0] > '3' {
		return 0, fmt.Errorf("discover %s to depth %q: %w", p, text, ErrBadRequest)
	}
	return int(text[0] - '0'), nil
}

// put is Write with Replace, or Write-Attributes.
func (c *Client) put(s *server, m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	_, formatted := m.Uint(coap.ContentFormat)
	if _, queried := m.Opaque(coap.URIQuery); queried && !formatted && len(m.Payload) == 0 {
		return c.writeAttributes(s, m, p)
	}
	if p.Depth() < 2 {
		return nil, ErrNotAllowed
	}
	return c.write(s, m, p, Replace)
}

// post is Create, Write with Update, or Execute.
func (c *Client) post(s *server, m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	switch p.Depth() {
	case 1:
		return c.create(s, m, p)
	case 2:
		return c.write(s, m, p, Update)
	}
	_, multiple, known := c.tree.Kind(p)
	if known && multiple && p.Depth() == 3 {
		return c.write(s, m, p, Update)
	}
	if p.Depth() == 4 {
		return nil, ErrNotAllowed
	}
	if c.tree.rights(s.short, p.Truncate(2))&mayExecute == 0 {
		return nil, fmt.Errorf("execute %s: %w", p, ErrUnauthorized)
	}
	if err := c.tree.execute(p, string(m.Payload)); err != nil {
		return nil, err
	}
	if p.Object() == objectServer {
		if err := c.command(p); err != nil {
			return nil, err
		}
	}
	return &coap.Message{Code: coap.Changed}, nil
}

func (c *Client) write(s *server, m *coap.Message, p lwm2m.Path, mode WriteMode) (*coap.Message, error) {
	if err := c.mayWrite(s, p); err != nil {
		return nil, err
	}
	values, err := c.decode(m, p)
	if err != nil {
		return nil, err
	}
	if err := c.tree.write(p, values, mode); err != nil {
		return nil, err
	}
	c.written(p)
	return &coap.Message{Code: coap.Changed}, nil
}

func (c *Client) mayWrite(s *server, p lwm2m.Path) error {
	if c.tree.has(p.Truncate(2)) && c.tree.rights(s.short, p.Truncate(2))&mayWrite == 0 {
		return fmt.Errorf("write %s: %w", p, ErrUnauthorized)
	}
	return nil
}

// written acts on what a Write means to the engine itself: lifetime and binding go to the server, default periods to the observations.
func (c *Client) written(p lwm2m.Path) {
	if p.Object() != objectServer {
		return
	}
	for _, s := range c.servers {
		if own, found := c.accounts.find(s.short); !found || !own.Overlaps(p) {
			continue
		}
		if p.Depth() < 3 || p.Resource() == serverLifetime || p.Resource() == serverBinding {
			s.tell(eventUpdate)
		}
		for _, o := range s.observations {
			c.refresh(s, o)
		}
	}
	c.poke()
}

// command runs what the Server object executes, which is the engine's own business.
func (c *Client) command(p lwm2m.Path) error {
	for _, s := range c.servers {
		if own, found := c.accounts.find(s.short); !found || own != p.Truncate(2) {
			continue
		}
		switch p.Resource() {
		case serverDisable:
			s.tell(eventDisable)
		case serverUpdateTrigger:
			s.tell(eventUpdate)
		case serverBootstrapTrigger:
			if len(c.accounts.each(true)) == 0 {
				return fmt.Errorf("execute %s without a bootstrap server: %w", p, ErrNotAllowed)
			}
			c.Bootstrap()
		}
	}
	return nil
}

func (c *Client) create(s *server, m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	if c.tree.rights(s.short, p)&mayCreate == 0 {
		return nil, fmt.Errorf("create in %s: %w", p, ErrUnauthorized)
	}
	base := p
	if o := c.tree.object(p); o != nil && unnumbered(m) {
		base = p.Child(c.tree.free(o))
	}
	values, err := c.decode(m, base)
	if err != nil {
		return nil, err
	}
	target, err := newInstance(p, values)
	if err != nil {
		return nil, err
	}
	made, err := c.tree.create(target, values)
	if err != nil {
		return nil, err
	}
	if err := c.tree.own(made, s.short); err != nil { // nobody could use it, or remove it
		return nil, errors.Join(fmt.Errorf("create %s: who may use it is not kept: %w", made, err), c.tree.remove(made))
	}
	c.objectsChanged()
	reply := &coap.Message{Code: coap.Created}
	reply.SetLocation(made.String())
	return reply, nil
}

// unnumbered tells whether a Create leaves the number of the instance to the device: it has the instance's resources in TLV, and not the
// instance (LwM2M Core 6.3.6). The first two bits of a TLV say what it is.
func unnumbered(m *coap.Message) bool {
	f, given := m.Uint(coap.ContentFormat)
	const resources = 2
	return (!given || lwm2m.Format(f).Canonical() == lwm2m.FormatTLV) && len(m.Payload) > 0 && m.Payload[0]>>6 >= resources
}

// newInstance is the instance that values are for; the path of the object if there are none.
func newInstance(object lwm2m.Path, values lwm2m.Tree) (lwm2m.Path, error) {
	target := object
	for _, v := range values {
		instance := v.Path.Truncate(2)
		if target != object && target != instance {
			return target, fmt.Errorf("create two instances at once: %w", ErrBadRequest)
		}
		target = instance
	}
	return target, nil
}

func (c *Client) remove(s *server, p lwm2m.Path) (*coap.Message, error) {
	if p.Depth() >= 2 && c.tree.has(p.Truncate(2)) && c.tree.rights(s.short, p.Truncate(2))&mayDelete == 0 {
		return nil, fmt.Errorf("delete %s: %w", p, ErrUnauthorized)
	}
	if p.Depth() == 1 || p.Depth() == 3 {
		return nil, fmt.Errorf("delete %s: %w", p, ErrNotAllowed)
	}
	if err := c.tree.remove(p); err != nil {
		return nil, err
	}
	if p.Depth() == 2 {
		c.forgetInstance(p)
		c.disown(p)
		c.objectsChanged()
	}
	return &coap.Message{Code: coap.Deleted}, nil
}

// disown removes what says who may use an instance that is gone.
func (c *Client) disown(p lwm2m.Path) {
	entry, found, err := c.tree.disown(p)
	switch {
	case err != nil:
		c.log.Error("who might use a deleted instance is still kept", "path", p.String(), "error", err)
	case found:
		c.forgetInstance(entry)
	}
}

// permit is which instances a server may use.
func (c *Client) permit(s *server, r right) permit {
	return func(instance lwm2m.Path) bool { return c.tree.rights(s.short, instance)&r == r }
}

// codes are the answers to refusals; an error that is none of them is the device's fault.
var codes = []struct {
	err  error
	code coap.Code
}{
	{ErrBadRequest, coap.BadRequest}, {ErrUnauthorized, coap.Unauthorized}, {ErrForbidden, coap.Forbidden}, {ErrNotFound, coap.NotFound},
	{ErrNotAllowed, coap.MethodNotAllowed}, {ErrNoFormat, coap.NotAcceptable}, {ErrIncomplete, coap.EntityIncomplete},
	{ErrConflict, coap.Conflict}, {ErrTooLarge, coap.EntityTooLarge}, {ErrFormat, coap.UnsupportedFormat},
	{ErrUnavailable, coap.ServiceUnavailable},
}

// maxDiagnostic keeps an answer to an error from being much longer than the request.
const maxDiagnostic = 128

// refusal is the answer that carries an error. What went wrong inside is no business of a server's.
func refusal(err error) *coap.Message {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			text := err.Error()
			return &coap.Message{Code: c.code, Payload: []byte(strings.ToValidUTF8(text[:min(len(text), maxDiagnostic)], ""))}
		}
	}
	return &coap.Message{Code: coap.InternalServerError}
}
