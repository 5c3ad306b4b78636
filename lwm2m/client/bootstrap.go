package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/internal/pause"
)

// ErrNoServer says that a device has neither usable accounts nor a bootstrap server to get some from.
var ErrNoServer = errors.New("no usable server account and no bootstrap server")

// bootstrap gets accounts from the bootstrap server (LwM2M Core 6.1), trying until it has some or ctx is done. What there was before stays
// in force until the server has finished and it all fits together.
func (c *Client) bootstrap(ctx context.Context) error {
	sources := c.accounts.each(true)
	if len(sources) == 0 {
		return fmt.Errorf("bootstrap: %w", errors.Join(ErrNoServer, c.accounts.consistent()))
	}
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	pace := backoff{}
	if !pause.For(ctx, min(sources[0].HoldOff, longestMaxAge)) {
		return nil
	}
	for {
		err := c.bootstrapOnce(ctx, sources[0])
		if err == nil || ctx.Err() != nil {
			return nil
		}
		wait, _ := pace.next(random)
		var busy *busyError
		if errors.As(err, &busy) {
			wait = max(wait, jitter(busy.wait, random))
		}
		c.log.Warn("bootstrap failed", "error", err, "wait", wait)
		if !pause.For(ctx, wait) {
			return nil
		}
	}
}

// bootstrapOnce is one bootstrap from its request to its end.
func (c *Client) bootstrapOnce(ctx context.Context, a Account) error {
	target, err := a.Target()
	if err != nil {
		return err
	}
	b := &bootstrapping{client: c, account: a, done: make(chan error, 1), busy: make(chan struct{}, 1)}
	endpoint, err := c.network.Connect(ctx, a, target, b)
	if err != nil {
		return fmt.Errorf("reach %s: %w", a.URI, err)
	}
	defer func() { _ = endpoint.Close() }()
	before := b.begin()
	if err = b.fetch(ctx, &connection{Endpoint: endpoint, target: target}); err == nil {
		err = c.commit(a)
	}
	b.end(before, err)
	return err
}

// commit makes what a bootstrap wrote survive. Nothing counts that does not.
func (c *Client) commit(a Account) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := lwm2m.Time(time.Now())
	var ids [16]uint16
	for _, id := range c.accounts.servers.Instances(ids[:0]) {
		if err := c.accounts.servers.Set(lwm2m.PathOf(objectServer, id, serverLastBootstrapped), now); err != nil {
			return err
		}
	}
	if a.Timeout > 0 {
		c.dropBootstrapAccounts()
	}
	if err := c.accounts.save(lwm2m.NoID, nil); err != nil {
		return err
	}
	c.log.Info("bootstrapped", "servers", len(c.accounts.each(false)))
	return nil
}

// dropBootstrapAccounts removes the accounts that are for one bootstrap (resource 12 of the Security object). The time that it grants for
// second thoughts is not taken: the accounts fit together, and a device that has to begin anew has those from the factory.
func (c *Client) dropBootstrapAccounts() {
	var ids [16]uint16
	for _, id := range c.accounts.security.Instances(ids[:0]) {
		if account(c.accounts.security, id).Bootstrap {
			_ = c.accounts.security.Delete(lwm2m.PathOf(objectSecurity, id))
		}
	}
}

// bootstrapping serves a bootstrap server's requests.
type bootstrapping struct {
	client  *Client
	account Account
	done    chan error    // one slot: the server has finished
	busy    chan struct{} // one slot: it does something
}

func (b *bootstrapping) begin() lwm2m.Tree {
	c := b.client
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accounts.staged.Store(true)
	return c.accounts.contents()
}

// end puts back what was before a bootstrap that failed.
func (b *bootstrapping) end(before lwm2m.Tree, err error) {
	c := b.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		if err := c.accounts.fill(before); err != nil {
			c.log.Error("accounts from before the bootstrap do not fit any more", "error", err)
		}
	}
	c.accounts.staged.Store(false)
}

// fetch asks for a bootstrap and waits until the server has finished, or has been silent for an exchange's lifetime.
func (b *bootstrapping) fetch(ctx context.Context, to *connection) error {
	c := b.client
	if c.config.Pack {
		err := b.pack(ctx, to)
		if err == nil || !errors.Is(err, errRejected) {
			return err
		}
	}
	m := &coap.Message{Code: coap.POST}
	m.SetPath(to.target.Prefix + "/bs")
	m.AddQuery("ep=" + c.config.Endpoint)
	m.AddQuery(fmt.Sprintf("pct=%d", lwm2m.FormatSenMLCBOR))
	reply, err := c.ask(ctx, to, m)
	if err != nil {
		return fmt.Errorf("request bootstrap: %w", err)
	}
	if reply.Code != coap.Changed {
		return fmt.Errorf("request bootstrap: %w: %s", errRejected, reply.Code)
	}
	return b.wait(ctx)
}

func (b *bootstrapping) wait(ctx context.Context) error {
	timer := time.NewTimer(exchangeLife)
	defer timer.Stop()
	for {
		select {
		case err := <-b.done:
			return err
		case <-b.busy:
			timer.Reset(exchangeLife)
		case <-timer.C:
			return errors.New("bootstrap server has fallen silent")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pack is Bootstrap-Pack-Request (LwM2M Core 1.2 §6.1.7.9): everything in one answer.
func (b *bootstrapping) pack(ctx context.Context, to *connection) error {
	c := b.client
	m := &coap.Message{Code: coap.GET}
	m.SetPath(to.target.Prefix + "/bspack")
	m.AddQuery("ep=" + c.config.Endpoint)
	m.SetUint(coap.Accept, uint32(lwm2m.FormatSenMLCBOR))
	reply, err := c.ask(ctx, to, m)
	if err != nil {
		return fmt.Errorf("request bootstrap pack: %w", err)
	}
	if reply.Code != coap.Content {
		return fmt.Errorf("request bootstrap pack: %w: %s", errRejected, reply.Code)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	values, err := c.decode(reply, lwm2m.Path{})
	if err != nil {
		return fmt.Errorf("bootstrap pack: %w", err)
	}
	if err := b.clear(lwm2m.Path{}); err != nil {
		return fmt.Errorf("bootstrap pack: %w", err)
	}
	if err := b.store(lwm2m.Path{}, values); err != nil {
		return fmt.Errorf("bootstrap pack: %w", err)
	}
	return c.accounts.consistent()
}

// Serve implements coap.Handler.
func (b *bootstrapping) Serve(_ context.Context, _ coap.Peer, request, response *coap.Message) {
	select {
	case b.busy <- struct{}{}:
	default:
	}
	c := b.client
	c.mu.Lock()
	defer c.mu.Unlock()
	reply, err := b.dispatch(request)
	if err != nil {
		reply = refusal(err)
	}
	give(response, reply)
}

func (b *bootstrapping) dispatch(m *coap.Message) (*coap.Message, error) {
	if !b.client.accounts.staged.Load() {
		return nil, fmt.Errorf("no bootstrap is on: %w", ErrNotAllowed)
	}
	if m.Code == coap.POST && m.Path() == "/bs" {
		return b.finish()
	}
	p, err := lwm2m.ParsePath(m.Path())
	if err != nil {
		return nil, ErrNotFound
	}
	switch m.Code {
	case coap.DELETE:
		if err := b.clear(p); err != nil {
			return nil, err
		}
		return &coap.Message{Code: coap.Deleted}, nil
	case coap.PUT:
		return b.put(m, p)
	case coap.GET:
		return b.get(m, p)
	default:
		return nil, ErrNotAllowed
	}
}

// finish is Bootstrap-Finish: the accounts have to fit together.
func (b *bootstrapping) finish() (*coap.Message, error) {
	err := b.client.accounts.consistent()
	if err != nil {
		return nil, fmt.Errorf("finish bootstrap: %w: %w", err, ErrNoFormat) // 4.06, by LwM2M Core 6.1.7.5
	}
	select {
	case b.done <- nil:
	default:
	}
	return &coap.Message{Code: coap.Changed}, nil
}

// put is Bootstrap-Write: of an object, its instances or one of them, or a resource.
func (b *bootstrapping) put(m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	if p.Depth() == 0 {
		return nil, ErrNotAllowed
	}
	values, err := b.client.decode(m, p)
	if err != nil {
		return nil, err
	}
	if err := b.store(p, values); err != nil {
		return nil, err
	}
	return &coap.Message{Code: coap.Changed}, nil
}

// store writes whole instances over what there was of them.
func (b *bootstrapping) store(p lwm2m.Path, values lwm2m.Tree) error {
	t := b.client.tree
	for len(values) > 0 {
		instance := values[0].Path.Truncate(2)
		own := values.Below(instance)
		values = values[len(own):]
		if instance.Depth() < 2 {
			continue
		}
		if err := t.install(instance, own, p.Depth() > 2); err != nil {
			return fmt.Errorf("bootstrap write %s: %w", instance, err)
		}
	}
	return nil
}

// install puts values of an instance, which it makes if need be. Only single resources leave the rest of the instance as it is.
func (t *tree) install(instance lwm2m.Path, values lwm2m.Tree, partly bool) error {
	o := t.object(instance)
	if o == nil {
		return ErrNotFound
	}
	kept, err := acceptable(o.Definition(), values)
	if err != nil {
		return err
	}
	f, makes := o.(Factory)
	w, writes := o.(Writer)
	exists := t.has(instance)
	switch {
	case exists && writes && (partly || !makes || !o.Definition().Multiple):
		return w.Write(instance, kept, Update)
	case !makes:
		return ErrNotAllowed
	case exists:
		if err := f.Delete(instance); err != nil {
			return err
		}
	}
	return f.Create(instance, kept)
}

// clear is Bootstrap-Delete: an instance, all of an object or all of them, but for the bootstrap server's own account and for what has to be
// there (LwM2M Core 6.1.7.4).
func (b *bootstrapping) clear(p lwm2m.Path) error {
	t := b.client.tree
	if p.Depth() > 2 {
		return ErrNotAllowed
	}
	for _, o := range t.objects {
		d := o.Definition()
		if p.Depth() > 0 && p.Object() != d.ID {
			continue
		}
		f, deletes := o.(Factory)
		if !deletes || !d.Multiple {
			if p.Depth() > 0 {
				return fmt.Errorf("bootstrap delete %s: %w", p, ErrNotAllowed)
			}
			continue
		}
		if err := b.clearObject(o, f, p); err != nil {
			return err
		}
	}
	return nil
}

func (b *bootstrapping) clearObject(o Object, f Factory, p lwm2m.Path) error {
	var ids [16]uint16
	for _, id := range o.Instances(ids[:0]) {
		instance := lwm2m.PathOf(o.Definition().ID, id)
		switch {
		case p.Depth() == 2 && p != instance:
			continue
		case o == Object(b.client.accounts.security) && account(b.client.accounts.security, id).Bootstrap:
			if p.Depth() == 2 {
				return fmt.Errorf("bootstrap delete %s, the bootstrap server's own: %w", p, ErrBadRequest)
			}
			continue
		}
		if err := f.Delete(instance); err != nil {
			return fmt.Errorf("bootstrap delete %s: %w", instance, err)
		}
	}
	return nil
}

// get is Bootstrap-Discover, or Bootstrap-Read (1.1) of Server and Access Control.
func (b *bootstrapping) get(m *coap.Message, p lwm2m.Path) (*coap.Message, error) {
	c := b.client
	if accept, _ := m.Uint(coap.Accept); lwm2m.Format(accept) == lwm2m.FormatLinks {
		reply := &coap.Message{Code: coap.Content, Payload: c.bootstrapLinks(p).Append(nil)}
		reply.SetUint(coap.ContentFormat, uint32(lwm2m.FormatLinks))
		return reply, nil
	}
	if p.Depth() == 0 || p.Object() != objectServer && p.Object() != objectAccess {
		return nil, fmt.Errorf("bootstrap read %s: %w", p, ErrNotAllowed)
	}
	values, err := c.tree.read(nil, p, nil)
	if err != nil {
		return nil, err
	}
	return c.content(m, p, values)
}

// bootstrapLinks tells a bootstrap server what there is: instances, and which server an account is for (LwM2M Core 6.1.7.3).
func (c *Client) bootstrapLinks(p lwm2m.Path) lwm2m.Links {
	links := lwm2m.Links{lwm2m.LinkTo(lwm2m.Path{}, "lwm2m", lwm2m.V1_2.String())}
	for _, o := range c.tree.objects {
		if p.Depth() == 0 || p.Object() == o.Definition().ID {
			links = c.appendForBootstrap(links, o)
		}
	}
	return links
}

func (c *Client) appendForBootstrap(links lwm2m.Links, o Object) lwm2m.Links {
	d := o.Definition()
	if d.Version.OrFirst() != lwm2m.V1_0 {
		links = append(links, lwm2m.LinkTo(lwm2m.PathOf(d.ID), versionParams(d)...))
	}
	var ids [16]uint16
	instances := o.Instances(ids[:0])
	if len(instances) == 0 && d.Version.OrFirst() == lwm2m.V1_0 {
		return append(links, lwm2m.LinkTo(lwm2m.PathOf(d.ID)))
	}
	for _, id := range instances {
		instance := lwm2m.PathOf(d.ID, id)
		links = append(links, lwm2m.LinkTo(instance, c.shortParams(instance)...))
	}
	return links
}

// shortParams says which server an instance of Security or Server is for.
func (c *Client) shortParams(instance lwm2m.Path) []string {
	switch instance.Object() {
	case objectSecurity:
		a := account(c.accounts.security, instance.Instance())
		if a.Bootstrap {
			return nil
		}
		return []string{"ssid", fmt.Sprint(a.Short), "uri", a.URI}
	case objectServer:
		return []string{"ssid", fmt.Sprint(c.accounts.servers.Value(instance.Child(serverShortID)).Integer())}
	default:
		return nil
	}
}
