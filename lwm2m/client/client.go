package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
)

// Config is what a device is to its servers.
type Config struct {
	Endpoint string   // the endpoint client name, what servers know the device by
	Objects  []Object // without Security, Server and Access Control, which the client has itself

	// Accounts are the servers to begin with, from the factory: a bootstrap server, or servers to register with. What bootstrap has
	// written since, and Store has kept, goes before them.
	Accounts []Account

	Network Network      // nil is Internet with its defaults
	Store   Store        // nil keeps nothing over a restart
	Logger  *slog.Logger // nil says nothing

	// QueueMode lets the device sleep between registration updates: it listens for Awake after something has come or gone, 93 s by
	// default (LwM2M Core 6.5).
	QueueMode bool
	Awake     time.Duration
	// Pack asks for a bootstrap pack (1.2) before it tries an ordinary bootstrap.
	Pack bool
	// Control says that access control applies: the Access Control object is there.
	Control bool
	// Stay leaves the registration alone when Run ends, for a device that will be back.
	Stay bool

	Limits Limits
}

// Validate reports everything that keeps a device from being made of the configuration.
func (c *Config) Validate() error {
	var problems []error
	if c.Endpoint == "" || len(c.Endpoint) > 255 {
		problems = append(problems, fmt.Errorf("endpoint name of %d bytes", len(c.Endpoint)))
	}
	for i, a := range c.Accounts {
		if _, err := a.Target(); err != nil {
			problems = append(problems, fmt.Errorf("account %d: %w", i, err))
		}
	}
	for _, o := range c.Objects {
		if id := o.Definition().ID; id <= objectAccess {
			problems = append(problems, fmt.Errorf("object %d is the client's own", id))
		}
	}
	return errors.Join(problems...)
}

// Client is a device: its objects, and where it stands with its servers.
//
// Run starts one goroutine for each server, one for the notifications of all of them, and for as long as it takes one for each server's
// unacknowledged notification.
type Client struct {
	config   Config
	limits   Limits
	log      *slog.Logger
	accounts *accounts
	network  Network

	mu      sync.Mutex // guards tree, every call to an object, and the servers' state
	tree    *tree
	servers []*server

	changes changes
	running sync.WaitGroup
	again   chan struct{} // one slot: bootstrap again
}

// New makes a device, which does nothing before Run.
func New(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("make LwM2M client: %w", err)
	}
	c := &Client{
		config: config, limits: config.Limits, log: config.Logger, network: config.Network, accounts: newAccounts(config.Store),
		changes: changes{poked: make(chan struct{}, 1)}, again: make(chan struct{}, 1),
	}
	c.limits.fill()
	c.config.Awake = cmp.Or(config.Awake, maxTransmitWait)
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.network == nil {
		c.network = &Internet{}
	}
	own := []Object{c.accounts.security, c.accounts.servers}
	if config.Control {
		own = append(own, c.accounts.access)
	}
	var err error
	if c.tree, err = newTree(slices.Concat(own, config.Objects)); err != nil {
		return nil, fmt.Errorf("make LwM2M client: %w", err)
	}
	if err := c.begin(); err != nil {
		return nil, fmt.Errorf("make LwM2M client: %w", err)
	}
	for _, o := range c.tree.objects {
		if a, announces := o.(Announcer); announces {
			a.Announce(c.changed)
		}
	}
	return c, nil
}

// begin takes the accounts that were kept, or those from the factory.
func (c *Client) begin() error {
	kept, err := c.accounts.load()
	if err != nil {
		c.log.Error("kept server accounts cannot be used, those from the factory are", "error", err)
	}
	if kept && err == nil {
		return nil
	}
	var all lwm2m.Tree
	for i, a := range c.config.Accounts {
		all = append(all, a.records(uint16(i))...)
	}
	return c.accounts.fill(all)
}

// changed is what objects call. A change of an instance as a whole may have made or removed it, which servers are to be told.
func (c *Client) changed(p lwm2m.Path) {
	c.changes.add(p)
}

// ObjectsChanged tells servers that instances have come or gone by themselves, by an Update of the registration.
func (c *Client) ObjectsChanged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.objectsChanged()
}

func (c *Client) objectsChanged() {
	for _, s := range c.servers {
		s.tell(eventObjects)
	}
}

// AddressChanged tells that the way to the servers has changed: the device reaches out anew and updates its registrations.
func (c *Client) AddressChanged() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.servers {
		s.tell(eventReconnect)
	}
}

// Bootstrap asks the bootstrap server for new accounts.
func (c *Client) Bootstrap() {
	select {
	case c.again <- struct{}{}:
	default:
	}
}

// Standing is where the device stands with one server.
type Standing struct {
	Server       uint16 // Short Server ID
	URI          string
	State        State
	Observations int
}

// Standings returns where the device stands with each of its servers.
func (c *Client) Standings() []Standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Standing
	for _, s := range c.servers {
		out = append(out, Standing{s.short, s.account.URI, s.now(), len(s.observations)})
	}
	return out
}

// Accounts returns those of the device's servers, as configured or as bootstrap wrote them, keys included.
func (c *Client) Accounts() []Account {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accounts.each(false)
}

// Run bootstraps if it has to, registers with all servers, and serves them until ctx is done. Then it de-registers, unless Stay is set,
// and returns when all that it started has ended.
func (c *Client) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.running.Wait()
	defer cancel()
	c.running.Go(func() { c.schedule(ctx) })
	for ctx.Err() == nil {
		if c.accounts.consistent() != nil {
			if err := c.bootstrap(ctx); err != nil {
				return err
			}
			continue
		}
		if err := c.serve(ctx); err != nil {
			return err
		}
	}
	return nil
}

// serve registers with all servers and stays registered, until ctx is done or a bootstrap is wanted, which it then does.
func (c *Client) serve(ctx context.Context) error {
	serving, stop := context.WithCancel(ctx)
	defer stop()
	c.mu.Lock()
	c.servers = c.line()
	servers := c.servers
	c.mu.Unlock()
	var all sync.WaitGroup
	for i, s := range servers {
		all.Go(func() { c.run(serving, s, servers[:i]) })
	}
	defer c.retire(servers)
	defer all.Wait()
	select {
	case <-ctx.Done():
		return nil
	case <-c.again:
		stop()
		all.Wait()
		return c.bootstrap(ctx)
	}
}

// line puts the servers into the order of their registration (resource 13 of the Server object), those without a place behind.
func (c *Client) line() []*server {
	var servers []*server
	for _, a := range c.accounts.each(false) {
		servers = append(servers, newServer(a))
	}
	place := func(s *server) uint64 {
		if v, found := c.serverValue(s, serverPriority); found {
			return v.Unsigned()
		}
		return 1 << 63
	}
	slices.SortStableFunc(servers, func(a, b *server) int { return cmp.Compare(place(a), place(b)) })
	c.loadAttributes(servers)
	return servers
}

func (c *Client) retire(servers []*server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range servers {
		s.become(Stopped)
	}
	c.servers = nil
}

// forgetInstance drops the attributes of an instance that is gone.
func (c *Client) forgetInstance(p lwm2m.Path) {
	for _, s := range c.servers {
		if next := s.attributes.drop(p); len(next) != len(s.attributes) {
			s.attributes = next
			if err := c.saveAttributes(); err != nil {
				c.log.Error("attributes of a deleted instance stay on disk", "path", p.String(), "error", err)
			}
		}
	}
}
