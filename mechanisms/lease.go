package mechanisms

import (
	"slices"
	"time"
)

// LeaseID names a lease; unique within a boot.
type LeaseID string

// Lease is an owner's hold on some knobs of one mechanism until a deadline.
type Lease struct {
	ID        LeaseID       `json:"id"`
	Mechanism string        `json:"mechanism"`
	Owner     string        `json:"owner"`
	Plan      string        `json:"plan,omitempty"`
	Priority  int           `json:"priority,omitempty"`
	Order     uint64        `json:"order"` // of granting; the lower one wins among equal priorities
	Granted   time.Time     `json:"granted"`
	Expires   time.Time     `json:"expires"`  // for people
	Deadline  time.Duration `json:"deadline"` // in uptime; what counts
	TTL       time.Duration `json:"ttl"`
	Holds     []Hold        `json:"holds"`
}

// Hold is one knob under a lease.
type Hold struct {
	Knob      string    `json:"knob"`
	Wanted    Value     `json:"wanted"`    // what was written
	Effective Value     `json:"effective"` // what was read back
	Since     time.Time `json:"since"`
	Drifted   *Value    `json:"drifted,omitempty"` // where someone else has moved it, as far as reported
}

func (l *Lease) hold(knob string) *Hold {
	for i := range l.Holds {
		if l.Holds[i].Knob == knob {
			return &l.Holds[i]
		}
	}
	return nil
}

func (l *Lease) knobs() []string {
	names := make([]string, len(l.Holds))
	for i, h := range l.Holds {
		names[i] = h.Knob
	}
	return names
}

func (l *Lease) clone() *Lease {
	c := *l
	c.Holds = slices.Clone(l.Holds)
	return &c
}

// leases is the set of them. The zero value is empty.
type leases struct {
	Next uint64   `json:"next"` // the order of the next lease
	List []*Lease `json:"list"`
}

func (ls *leases) clone() leases {
	c := leases{Next: ls.Next, List: make([]*Lease, len(ls.List))}
	for i, l := range ls.List {
		c.List[i] = l.clone()
	}
	return c
}

// top returns the lease that decides about a knob, nil when none holds it.
func (ls *leases) top(mechanism, knob string) *Lease {
	var best *Lease
	for _, l := range ls.List {
		if l.Mechanism != mechanism || l.hold(knob) == nil {
			continue
		}
		if best == nil || l.outranks(best) {
			best = l
		}
	}
	return best
}

// outranks tells which of two leases decides.
func (l *Lease) outranks(other *Lease) bool {
	return l.Priority > other.Priority || (l.Priority == other.Priority && l.Order < other.Order)
}

// grant adds a lease. What its owner held of the same knobs before passes over to it.
func (ls *leases) grant(l *Lease) {
	ls.release(l.Mechanism, l.Owner, l.knobs())
	ls.List = append(ls.List, l)
}

// release takes the owner's hold off the knobs and drops leases that hold nothing any more.
func (ls *leases) release(mechanism, owner string, knobs []string) {
	for _, l := range ls.List {
		if l.Mechanism == mechanism && l.Owner == owner {
			l.Holds = slices.DeleteFunc(l.Holds, func(h Hold) bool { return slices.Contains(knobs, h.Knob) })
		}
	}
	ls.List = slices.DeleteFunc(ls.List, func(l *Lease) bool { return len(l.Holds) == 0 })
}

// drop removes the leases that match and returns them.
func (ls *leases) drop(match func(*Lease) bool) []*Lease {
	var out []*Lease
	ls.List = slices.DeleteFunc(ls.List, func(l *Lease) bool {
		if match(l) {
			out = append(out, l)
			return true
		}
		return false
	})
	return out
}

func (ls *leases) find(id LeaseID) *Lease {
	for _, l := range ls.List {
		if l.ID == id {
			return l
		}
	}
	return nil
}

// owned returns the knobs of a mechanism that the owner holds, in order.
func (ls *leases) owned(mechanism, owner string) []string {
	var names []string
	for _, l := range ls.List {
		if l.Mechanism == mechanism && l.Owner == owner {
			names = append(names, l.knobs()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// deadline returns the earliest one, and whether there is any.
func (ls *leases) deadline() (d time.Duration, ok bool) {
	for _, l := range ls.List {
		if !ok || l.Deadline < d {
			d, ok = l.Deadline, true
		}
	}
	return d, ok
}
