package client

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
)

// attributes are the notification attributes that one server has written (LwM2M Core 1.2 §7.4.4), in the order of their paths.
type attributes []attached

type attached struct {
	path lwm2m.Path
	set  lwm2m.Attributes
}

func (as attributes) find(p lwm2m.Path) (int, bool) {
	return slices.BinarySearchFunc(as, p, func(a attached, p lwm2m.Path) int { return a.path.Compare(p) })
}

// at returns what is attached to the path itself.
func (as attributes) at(p lwm2m.Path) lwm2m.Attributes {
	if i, found := as.find(p); found {
		return as[i].set
	}
	return lwm2m.Attributes{}
}

// effective is what holds for a path: its own, then those of the levels above it.
func (as attributes) effective(p lwm2m.Path) lwm2m.Attributes {
	var a lwm2m.Attributes
	for ; p.Depth() > 0; p = p.Parent() {
		a = a.Inherit(as.at(p))
	}
	return a
}

// write does a Write-Attributes and returns the new list. The result of the change, not the change, has to be valid.
func (as attributes) write(p lwm2m.Path, change lwm2m.Attributes, most int) (attributes, error) {
	next := as.at(p).Apply(change)
	if err := next.Validate(); err != nil {
		return nil, fmt.Errorf("write attributes of %s: %w: %w", p, err, ErrBadRequest)
	}
	i, found := as.find(p)
	out := slices.Clone(as)
	switch {
	case found && next.Has == 0:
		return slices.Delete(out, i, i+1), nil
	case found:
		out[i].set = next
	case next.Has != 0 && len(as) >= most:
		return nil, fmt.Errorf("write attributes of %s: %d paths have some already: %w", p, most, ErrUnavailable)
	case next.Has != 0:
		out = slices.Insert(out, i, attached{p, next})
	}
	return out, nil
}

// drop forgets what is attached at and below a path that is gone.
func (as attributes) drop(p lwm2m.Path) attributes {
	return slices.DeleteFunc(slices.Clone(as), func(a attached) bool { return p.Contains(a.path) })
}

const attributesDocument = "attributes"

// keepAttributes makes a server's new attributes survive, before they count.
func (c *Client) keepAttributes(s *server, next attributes) error {
	before := s.attributes
	s.attributes = next
	err := c.saveAttributes()
	s.attributes = before
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// saveAttributes writes those of all servers as one document in link format: </3/0/13>;ssid=1;pmin=10.
func (c *Client) saveAttributes() error {
	if c.config.Store == nil {
		return nil
	}
	var links lwm2m.Links
	for _, s := range c.servers {
		for _, a := range s.attributes {
			link := lwm2m.LinkTo(a.path, "ssid", strconv.Itoa(int(s.short)))
			link.Params = string(a.set.AppendParams([]byte(link.Params)))
			links = append(links, link)
		}
	}
	return c.config.Store.Save(attributesDocument, links.Append(nil))
}

// loadAttributes gives servers what they had written before the restart. What cannot be read is lost, which the servers notice by Discover.
func (c *Client) loadAttributes(servers []*server) {
	if c.config.Store == nil {
		return
	}
	document, err := c.config.Store.Load(attributesDocument)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var links lwm2m.Links
	if err == nil {
		links, err = lwm2m.ParseLinks(document)
	}
	if err != nil {
		c.log.Error("notification attributes are lost", "error", err)
		return
	}
	for _, s := range servers {
		s.attributes = attributesOf(links, s.short, c.limits.Attributes)
	}
}

func attributesOf(links lwm2m.Links, short uint16, most int) attributes {
	var as attributes
	for _, l := range links {
		p, ok := l.Path("/")
		if ssid, _ := l.Param("ssid"); !ok || ssid != strconv.Itoa(int(short)) {
			continue
		}
		if next, err := as.write(p, l.Attributes(), most); err == nil {
			as = next
		}
	}
	return as
}
