package sign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// Client is what a node believes about modules. It lasts: what was believed once is never given up for something older,
// restarts and crashes included. It is safe for concurrent use.
//
// The life of a client: [Open] reads what was kept; [Client.Update] takes in what sources have to say, as often as they are
// there; [Client.Verify] judges a module that is new, [Client.Installed] one that was accepted before.
type Client struct {
	dir  string
	node string
	wall func() time.Time // the machine's clock, to be shown only
	lost string

	updating sync.Mutex // held across sources, so that updates don't overtake each other

	mu               sync.RWMutex
	images, director *line // director is nil without a root for it
	clock            clock
	memory           memory
}

// Options of a client. The zero value is a node with a clock and without a director.
type Options struct {
	// Node is what the director calls this node; empty follows none.
	Node string
	// Now is the machine's clock, time.Now by default.
	Now func() time.Time
	// Uptime never goes back; by default it counts from Open.
	Uptime func() time.Duration
	// IgnoreClock goes by signatures and uptime alone: for machines whose clock can't be trusted.
	IgnoreClock bool
}

// Open opens what a node keeps in its folder, which is made if need be. Trust begins with pin; a pin that has changed since
// starts over from its roots, and keeps what these still vouch for.
func Open(dir string, pin []byte, o Options) (*Client, error) {
	p, err := ParsePin(pin)
	if err != nil {
		return nil, err
	}
	if o.Node != "" && !validName(o.Node) {
		return nil, badName("follow the director", "node", o.Node)
	}
	if err := os.MkdirAll(filepath.Join(dir, vouchersFolder), 0o700); err != nil {
		return nil, stateError("open the trust folder", err)
	}
	store.Sweep(dir)
	store.Sweep(filepath.Join(dir, vouchersFolder))
	m, lost, err := recall(dir)
	if err != nil {
		return nil, stateError("read what was trusted", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Client{dir: dir, node: o.Node, wall: o.Now, lost: lost, clock: newClock(o)}
	if err := c.restore(p, m); err != nil {
		return nil, err
	}
	return c, nil
}

func newClock(o Options) clock {
	c := clock{now: o.Now, uptime: o.Uptime}
	if c.uptime == nil {
		start := time.Now() // with a monotonic reading
		c.uptime = func() time.Duration { return time.Since(start) }
	}
	if o.IgnoreClock {
		c.now = nil
	}
	return c
}

func (c *Client) restore(p Pin, m memory) (err error) {
	if m.Pin != p.digest() || m.Images.Root == nil {
		m.Images.Root = p.Images
	}
	if m.Pin != p.digest() || m.Director.Root == nil {
		m.Director.Root = p.Director
	}
	if m.Node != c.node {
		m.Director = set{Root: m.Director.Root}
	}
	m.Pin, m.Node = p.digest(), c.node
	if c.images, err = remembered(Images, "", m.Images); err != nil {
		return err
	}
	if len(m.Director.Root) > 0 && c.node != "" {
		if c.director, err = remembered(Director, c.node, m.Director); err != nil {
			return err
		}
	}
	c.memory = m
	c.clock.learn(c.signed())
	c.clock.resume(m.Signed, m.Base)
	return nil
}

// remembered is a line of what was believed before alone.
func remembered(repository, node string, s set) (*line, error) {
	w, err := begin(repository, node, s.Root)
	if err != nil {
		return nil, err
	}
	return &w.line, w.follow(context.Background(), nil, s)
}

// signed is the latest time of signing among what is believed.
func (c *Client) signed() (latest time.Time) {
	for _, l := range []*line{c.images, c.director} {
		if l == nil {
			continue
		}
		for _, d := range l.documents {
			if d.label.Issued.After(latest) {
				latest = d.label.Issued
			}
		}
	}
	return latest
}

// Update takes in what the sources have that is newer; a nil source is left alone. What is believed changes only by whole
// releases of a repository, and only forwards. An error says which repository could not be brought up to date; what the
// other one had is kept all the same. Metadata that has expired is taken in too, and reported as [CodeExpired].
func (c *Client) Update(ctx context.Context, images, director Source) error {
	c.updating.Lock()
	defer c.updating.Unlock()
	c.mu.RLock()
	next := [2]*line{c.images, c.director}
	c.mu.RUnlock()
	var errs []error
	for i, s := range []Source{images, director} {
		if s == nil {
			continue
		}
		if next[i] == nil {
			errs = append(errs, &Error{Code: CodeBadRoot, What: "follow the director", Why: "the root file has no root for it, or the node has no name", Hint: "give the node the file that `edgehold trust init` wrote"})
			continue
		}
		l, err := next[i].update(ctx, s)
		next[i], errs = l, append(errs, err)
	}
	if err := c.adopt(next[0], next[1]); err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, c.stale(images != nil, director != nil))...)
}

// update returns what is believed after asking a source: at worst what was believed before, under the newest root.
func (l *line) update(ctx context.Context, s Source) (*line, error) {
	w, err := begin(l.repository, l.node, l.set.Root)
	if err != nil {
		return l, err
	}
	failed := w.roots(ctx, s)
	if failed == nil {
		if failed = w.follow(ctx, s, l.set); failed == nil {
			return &w.line, nil
		}
	}
	if w.root.Version == l.root.Version {
		return l, failed
	}
	before := l.set
	if w.forgets {
		before = set{}
	}
	before.Root = w.set.Root
	kept, err := remembered(l.repository, l.node, before)
	if err != nil {
		return l, errors.Join(failed, err)
	}
	return kept, failed
}

// adopt makes what an update brought durable, then current.
func (c *Client) adopt(images, director *line) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	images, c.images = c.images, images
	director, c.director = c.director, director
	c.clock.learn(c.signed())
	m := c.memory
	m.Images, m.Signed, m.Base = c.images.set, c.clock.signed, c.clock.floor()
	if c.director != nil {
		m.Director = c.director.set
	}
	m.Updated = c.wall().UTC()
	if err := m.save(c.dir); err != nil {
		c.images, c.director = images, director
		return stateError("keep what is trusted", err)
	}
	c.memory, c.lost = m, ""
	return nil
}

// stale says which of the repositories that were asked have nothing fresh.
func (c *Client) stale(images, director bool) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var errs []error
	if images {
		errs = append(errs, c.expired(c.images))
	}
	if director && c.director != nil {
		errs = append(errs, c.expired(c.director))
	}
	return errors.Join(errs...)
}

// expired says that nothing new may be accepted by a repository's metadata.
func (c *Client) expired(l *line) error {
	now, _ := c.clock.time()
	for _, d := range l.documents {
		if !now.After(d.expires) {
			continue
		}
		why := fmt.Sprintf("version %d of its %s was good until %s, and it is %s now", d.version, d.role, day(d.expires), day(now))
		hint := "have the operator run `edgehold trust refresh` and publish; what is installed keeps running"
		if doubt := c.clock.doubt(now); doubt != "" {
			why, hint = why+"; "+doubt, "set the clock, or go without it by trust.clock: signed; what is installed keeps running"
		}
		return &Error{Code: CodeExpired, What: "trust the " + l.repository, Why: why, Hint: hint}
	}
	return nil
}

func stateError(what string, err error) error {
	return &Error{Code: CodeState, What: what, Why: err.Error(), Hint: "check the disk and the owner of the state folder", Err: err}
}

func badName(what, kind, name string) error {
	return &Error{Code: CodeBadName, What: what, Why: fmt.Sprintf("%q is no name for a %s", name, kind), Hint: "use letters, digits, '-', '_', '.' and '+', at most 100"}
}
