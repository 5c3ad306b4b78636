package sign

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Assignment is one module that the director has a node run.
type Assignment struct {
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Digest  string          `json:"digest"`
	Length  int64           `json:"length"`
	Rollout json.RawMessage `json:"rollout,omitempty"` // how to bring it in; the node's business
}

// Assigned returns what the director has this node run, by name. Each module was verified against the image repository as
// well: where the two disagree, nothing is returned.
func (c *Client) Assigned() ([]Assignment, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	what := "see what the director assigns"
	if c.director == nil || c.director.targets == nil {
		return nil, &Error{Code: CodeUnassigned, What: what, Why: "the director has not said anything to this node yet", Hint: "assign it something with `edgehold trust assign`"}
	}
	if err := c.expired(c.director); err != nil {
		return nil, err
	}
	if err := c.expired(c.images); err != nil {
		return nil, err
	}
	all := c.director.assignments()
	for i, a := range all {
		if i > 0 && all[i-1].Name == a.Name {
			return nil, disagree(what, a, "the director assigns two versions of it")
		}
		v, err := c.lookup(a.Digest)
		if err != nil {
			return nil, &Error{Code: CodeDisagree, What: what, Why: fmt.Sprintf("%s@%s: %v", a.Name, a.Version, err), Hint: "the director, or what sits between it and this node, can't be believed: nothing is changed", Err: err}
		}
		if v.Name != a.Name || v.Version != a.Version || v.Length != a.Length {
			return nil, disagree(what, a, fmt.Sprintf("the image repository knows this module as %s@%s with %d bytes", v.Name, v.Version, v.Length))
		}
	}
	return all, nil
}

func disagree(what string, a Assignment, why string) error {
	return &Error{Code: CodeDisagree, What: what, Why: fmt.Sprintf("%s@%s: %s", a.Name, a.Version, why), Hint: "the director, or what sits between it and this node, can't be believed: nothing is changed"}
}

func (l *line) assignments() []Assignment {
	var all []Assignment
	for _, t := range l.targets {
		if d, err := custom(t); err == nil {
			all = append(all, Assignment{Name: d.Name, Version: d.Version, Digest: digestOf(t), Length: t.Length, Rollout: json.RawMessage(d.Rollout)})
		}
	}
	slices.SortFunc(all, func(a, b Assignment) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
	})
	return all
}

// ClientStatus is what a client believes, to be shown.
type ClientStatus struct {
	Node        string
	Images      []RoleStatus
	Director    []RoleStatus // empty without one
	Modules     int          // on the signed list
	Assignments []Assignment // as the director has them, believed or not
	Time        time.Time    // the best guess
	ClockBehind bool         // the machine's clock is earlier than what was signed
	ClockDoubt  string       // why the machine's clock may be wrong, or empty
	Updated     time.Time    // by the machine's clock; zero is never
	Lost        string       // what of the memory was damaged when it was opened, until the next update
}

// RoleStatus is one believed document.
type RoleStatus struct {
	Role    string
	Version int64
	Expires time.Time
	Issued  time.Time
	Expired bool
}

// Status says what is believed.
func (c *Client) Status() ClientStatus {
	c.mu.RLock()
	defer c.mu.RUnlock()
	now, behind := c.clock.time()
	s := ClientStatus{
		Node: c.node, Images: c.images.status(now), Time: now, ClockBehind: behind, ClockDoubt: c.clock.doubt(now),
		Updated: c.memory.Updated, Lost: c.lost, Modules: len(c.images.targets),
	}
	if c.director != nil {
		s.Director = c.director.status(now)
		if c.director.targets != nil {
			s.Assignments = c.director.assignments()
		}
	}
	return s
}

func (l *line) status(now time.Time) []RoleStatus {
	var all []RoleStatus
	for _, d := range l.documents {
		all = append(all, RoleStatus{d.role, d.version, d.expires, d.label.Issued, now.After(d.expires)})
	}
	return all
}
