package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/edgehold/edgehold/sdf/mqtt/shell"
)

// A device that knows leases is told for how long a setting holds, and by whom. It goes back by itself if this agent, its host or the way to it is lost; and of two
// agents that both stand for it the first has the knob. RATIONALE.md, "Why does the device itself hold the lease?".

// shortestLease is what the device is asked for at least, and leaseRefreshes how many of Config.Refresh: so many renewals may be lost.
const (
	shortestLease  = 90 * time.Second
	leaseRefreshes = 3
)

// lease is what a setting of k is to come with. A device that sleeps is heard once in its lifetime at least.
func (d *device) lease(k knob) shell.Lease {
	if k.Lease == 0 {
		return shell.Lease{}
	}
	long := max(shortestLease, leaseRefreshes*d.proxy.config.Refresh)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.about != nil && d.about.Sleeps {
		long = max(long, 2*time.Duration(d.about.Lifetime)*time.Second)
	}
	return shell.Lease{For: min(long, k.Lease), Holder: d.proxy.config.Holder}
}

// own notes what this agent has turned a knob to under a lease, and until when nobody else's can be on it; "" gives it up.
func (d *device) own(name, value string, until time.Time) {
	d.mu.Lock()
	for i := range d.knobs {
		if k := &d.knobs[i]; k.Name == name {
			k.Ours, k.other, k.until = value, holder{}, until
		}
	}
	d.mu.Unlock()
	d.proxy.unsaved.Store(true)
}

// ours are the knobs that this agent has turned.
func (d *device) ours() (list []knob) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
		if k.Ours != "" {
			list = append(list, k)
		}
	}
	return list
}

// renew has the leases of what this agent has turned begin again, and says whether it has lost one: to a person, or to a restart of the device. What is lost is not
// taken back here: whoever wants the knob sees where it is, and decides anew.
func (d *device) renew(ctx context.Context, s *shell.Shell) (lost bool) {
	for _, k := range d.ours() {
		l, now := d.lease(k), d.proxy.config.Now()
		err := s.Renew(ctx, k.Name, k.Ours, l)
		switch {
		case errors.Is(err, shell.ErrRefused):
			d.own(k.Name, "", time.Time{})
			lost = true
		case err != nil:
			d.note(err)
			return lost
		default:
			d.renewed(k.Name, now.Add(l.For))
		}
	}
	return lost
}

// renewed notes until when nobody else's lease can be on a knob.
func (d *device) renewed(name string, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.knobs {
		if k := &d.knobs[i]; k.Name == name && k.Ours != "" {
			k.until = until
		}
	}
}

// surelyOurs says whether the lease of a knob that this agent has turned runs still, unless a person has ended it since the last renewal.
func (d *device) surelyOurs(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
		if k.Name == name {
			return k.Ours != "" && d.proxy.config.Now().Before(k.until)
		}
	}
	return false
}

// askHolders asks who else holds knobs.
func (d *device) askHolders(ctx context.Context, s *shell.Shell) error {
	list, err := s.Leases(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.knobs {
		d.knobs[i].other = d.proxy.config.holderOf(d.knobs[i].Name, list)
	}
	return nil
}

// holderOf is who holds a knob, if that is somebody else. A lease without a holder goes to whoever wants it.
func (c *Config) holderOf(name string, list []shell.Held) holder {
	for _, h := range list {
		if h.Knob != name || h.Holder == c.Holder {
			continue
		}
		if h.Left == 0 {
			return holder{name: h.Holder}
		}
		return holder{name: h.Holder, until: c.Now().Add(h.Left)}
	}
	return holder{}
}

// othersHold says whether somebody else is known to hold a knob, or was.
func (d *device) othersHold() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
		if k.other.name != "" {
			return true
		}
	}
	return false
}

// heldBy says who else holds a knob, "" for nobody.
func (d *device) heldBy(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
		if k.Name == name && k.other.holds(d.proxy.config.Now()) {
			return k.other.name
		}
	}
	return ""
}
