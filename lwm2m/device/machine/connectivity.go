package machine

import (
	"errors"
	"io/fs"
	"net/netip"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Resources of object 4.
const (
	connectivityBearer    = 0
	connectivityBearers   = 1
	connectivitySignal    = 2
	connectivityQuality   = 3
	connectivityAddresses = 4
	connectivityRouters   = 5
)

var connectivityDefinition = client.Definition{ID: 4, Version: lwm2m.Version{Major: 1, Minor: 3}, Resources: []client.Resource{
	{ID: connectivityBearer, Name: "Network Bearer", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true},
	{ID: connectivityBearers, Name: "Available Network Bearer", Kind: lwm2m.KindInteger, Operations: client.Readable, Multiple: true, Mandatory: true},
	{ID: connectivitySignal, Name: "Radio Signal Strength", Kind: lwm2m.KindInteger, Operations: client.Readable, Mandatory: true, Sampled: true},
	{ID: connectivityQuality, Name: "Link Quality", Kind: lwm2m.KindInteger, Operations: client.Readable, Sampled: true},
	{ID: connectivityAddresses, Name: "IP Addresses", Kind: lwm2m.KindString, Operations: client.Readable, Multiple: true, Mandatory: true, Sampled: true},
	{ID: connectivityRouters, Name: "Router IP Addresses", Kind: lwm2m.KindString, Operations: client.Readable, Multiple: true},
}}

// Connectivity is object 4. A device without a radio has no Radio Signal Strength, though the object has it mandatory: a number would be a
// lie that a policy acts upon.
type Connectivity struct {
	root      fs.FS
	radio     Radio
	addresses func() []netip.Addr
}

// NewConnectivity makes object 4 of what is below root, and of a radio. A SimulatedRadio counts as one of IEEE 802.15.4.
func NewConnectivity(root fs.FS, radio Radio) *Connectivity {
	return &Connectivity{root: root, radio: radio, addresses: addresses}
}

// Definition implements client.Object.
func (c *Connectivity) Definition() *client.Definition { return &connectivityDefinition }

// Instances implements client.Object.
func (c *Connectivity) Instances(dst []uint16) []uint16 { return append(dst, 0) }

// Announce implements client.Announcer: a simulated radio knows when its signal moves.
func (c *Connectivity) Announce(changed func(lwm2m.Path)) {
	if s, simulated := c.radio.(*SimulatedRadio); simulated {
		s.OnChange(func() {
			changed(lwm2m.PathOf(4, 0, connectivitySignal))
			changed(lwm2m.PathOf(4, 0, connectivityQuality))
		})
	}
}

// Read implements client.Object.
func (c *Connectivity) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	switch p.Resource() {
	case connectivityBearer:
		return one(dst, p, lwm2m.Integer(c.bearer())), nil
	case connectivityBearers:
		return one(dst, p.Child(0), lwm2m.Integer(c.bearer())), nil
	case connectivitySignal, connectivityQuality:
		return c.signal(dst, p)
	case connectivityAddresses:
		for i, a := range c.addresses() {
			dst = one(dst, p.Child(uint16(i)), lwm2m.String(a.String()))
		}
		return dst, nil
	case connectivityRouters:
		if r, found := defaultRoute(c.root); found && r.Gateway.IsValid() {
			dst = one(dst, p.Child(0), lwm2m.String(r.Gateway.String()))
		}
		return dst, nil
	default:
		return dst, nil
	}
}

func (c *Connectivity) bearer() int64 {
	if _, simulated := c.radio.(*SimulatedRadio); simulated {
		return bearer802154
	}
	if r, found := defaultRoute(c.root); found {
		return bearer(c.root, r.Interface)
	}
	return bearerEthernet
}

func (c *Connectivity) signal(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	if c.radio == nil {
		return dst, nil
	}
	r, err := c.radio.Reading()
	switch {
	case errors.Is(err, ErrNoRadio):
		return dst, nil
	case err != nil:
		return dst, err
	case p.Resource() == connectivitySignal:
		return one(dst, p, lwm2m.Integer(int64(r.SignalDBm))), nil
	default:
		return one(dst, p, lwm2m.Integer(int64(r.LinkQuality))), nil
	}
}
