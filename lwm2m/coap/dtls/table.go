package dtls

import (
	"net/netip"
	"sync"
	"time"
)

// table finds associations by id, address and principal, and knows which have been quiet.
type table struct {
	mu          sync.Mutex
	byID        map[ID]*association
	byAddr      map[netip.AddrPort]*association
	byPrincipal map[string]*association // the newest; siblings follow
	active      order
	asleep      order
}

func newTable() *table {
	return &table{byID: map[ID]*association{}, byAddr: map[netip.AddrPort]*association{}, byPrincipal: map[string]*association{}}
}

// add takes in an association and returns those that must go for it: the oldest of its principal beyond perPrincipal, those
// beyond total, and one that can't be reached any more because it was known by the same address only.
func (t *table) add(a *association, now time.Time, perPrincipal, total int) (gone []*association) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.byAddr[a.addr]; old != nil && !old.ownCID {
		gone = append(gone, t.drop(old))
	}
	kept := 1
	for old := t.byPrincipal[a.principal]; old != nil; {
		next := old.sibling
		if kept++; kept > perPrincipal {
			gone = append(gone, t.drop(old))
		}
		old = next
	}
	for len(t.byID) >= total && len(t.byID) > 0 {
		gone = append(gone, t.drop(t.quietest()))
	}
	a.sibling = t.byPrincipal[a.principal]
	t.byPrincipal[a.principal] = a
	t.byID[a.id] = a
	t.byAddr[a.addr] = a
	t.touch(a, now)
	return gone
}

// restore takes in an association of an earlier process, asleep, and returns those that can't be reached any more.
func (t *table) restore(a *association, now time.Time) (gone []*association) {
	gone = t.add(a, now, len(t.byID)+1, len(t.byID)+1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asleep.promote(a)
	return gone
}

func (t *table) quietest() *association {
	if t.asleep.oldest != nil {
		return t.asleep.oldest
	}
	return t.active.oldest
}

// touch notes that something was heard of an association. Callers hold mu.
func (t *table) touch(a *association, now time.Time) {
	a.heard = now
	t.active.promote(a)
}

// drop forgets an association. Callers hold mu.
func (t *table) drop(a *association) *association {
	delete(t.byID, a.id)
	if t.byAddr[a.addr] == a {
		delete(t.byAddr, a.addr)
	}
	for at := t.byPrincipal[a.principal]; at != nil; at = at.sibling {
		if at.sibling == a {
			at.sibling = a.sibling
			break
		}
	}
	if t.byPrincipal[a.principal] == a {
		if a.sibling != nil {
			t.byPrincipal[a.principal] = a.sibling
		} else {
			delete(t.byPrincipal, a.principal)
		}
	}
	a.order.remove(a)
	a.removed, a.sibling = true, nil
	return a
}

// remove forgets an association, and reports whether it was there.
func (t *table) remove(a *association) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.removed {
		return false
	}
	t.drop(a)
	return true
}

func (t *table) find(id ID) (*association, netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.byID[id]
	if a == nil {
		return nil, netip.AddrPort{}
	}
	return a, a.addr
}

// owner returns the association that a protected record belongs to.
func (t *table) owner(r record, from netip.AddrPort) *association {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.kind == typeCID {
		return t.byID[idOf(r.cid)]
	}
	return t.byAddr[from]
}

// dialledTo returns the association that we dialled at an address.
func (t *table) dialledTo(addr netip.AddrPort) *association {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a := t.byAddr[addr]; a != nil && a.dialled {
		return a
	}
	return nil
}

// note records that an association is used, and if moved where its peer is now: RFC 9146 section 6 lets only the newest
// authenticated record with a connection id say so.
func (t *table) note(a *association, now time.Time, moved bool, to netip.AddrPort) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.removed {
		return false
	}
	t.touch(a, now)
	if !moved || a.addr == to {
		return false
	}
	if t.byAddr[a.addr] == a {
		delete(t.byAddr, a.addr)
	}
	a.addr = to
	if t.byAddr[to] == nil { // one without connection id has nothing else to be found by
		t.byAddr[to] = a
	}
	return true
}

// quiet moves the associations that were last heard of before a time to the sleepers, and returns them.
func (t *table) quiet(before time.Time) (list []*association) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for a := t.active.oldest; a != nil && a.heard.Before(before); a = t.active.oldest {
		t.asleep.promote(a)
		list = append(list, a)
	}
	return list
}

// of returns the associations of a principal.
func (t *table) of(principal string) (list []*association) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for a := t.byPrincipal[principal]; a != nil; a = a.sibling {
		list = append(list, a)
	}
	return list
}

// all returns every association.
func (t *table) all() []*association {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*association, 0, len(t.byID))
	for _, a := range t.byID {
		list = append(list, a)
	}
	return list
}

// counts returns how many associations are active and asleep.
func (t *table) counts() (active, asleep int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.active.length, t.asleep.length
}

// view returns what an association's state says that the table knows.
func (t *table) view(a *association) (addr netip.AddrPort, asleep, removed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return a.addr, a.order == &t.asleep, a.removed
}
