package capability

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/edgehold/edgehold/wasmabi"
)

// Resolver finds the addresses of a host. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// reach is the network as one capability may see it.
type reach struct {
	request  wasmabi.CapabilityRequest
	offers   []Offer
	resolver Resolver
}

func newReach(r *wasmabi.CapabilityRequest, c Config) reach {
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	return reach{*r, c.Offers, c.Resolver}
}

// permits says why a method on a host, written with its port, is not granted; nil if it is.
func (n *reach) permits(method, target string) error {
	op := method + " " + target
	if !slices.Contains(n.request.Methods, method) || !slices.ContainsFunc(n.request.Hosts, func(p string) bool { return covers(p, target) }) {
		return denied(op, "the manifest does not ask for it")
	}
	if !slices.ContainsFunc(n.offers, func(o Offer) bool { return n.offered(o, method, target) }) {
		return denied(op, "this node does not offer it")
	}
	return nil
}

func (n *reach) offered(o Offer, method, target string) bool {
	return o.reaches(&n.request, method, func(p string) bool { return covers(p, target) })
}

// addresses returns where a host is: where the operator says, or what the name service says, as far as it is permitted.
func (n *reach) addresses(ctx context.Context, target string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(target)
	if err != nil {
		return nil, denied("connect to "+target, "it names no port")
	}
	for _, o := range n.offers {
		if o.Address != "" && o.Kind == n.request.Kind && slices.ContainsFunc(o.Hosts, func(p string) bool { return covers(p, target) }) {
			at, err := netip.ParseAddrPort(o.Address)
			return []netip.AddrPort{at}, err
		}
	}
	found, err := n.lookUp(ctx, host)
	if err != nil {
		return nil, failed(wasmabi.CodeUnreached, "connect to "+target, "its address can't be found", err)
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, denied("connect to "+target, "its port is no number")
	}
	named := n.named(target)
	var out []netip.AddrPort
	for _, a := range found {
		if why := forbidden(a); why != "" && !named {
			return nil, denied("connect to "+target, "%s is %s: only an exact grant of the address, or of localhost, reaches it", a, why)
		}
		out = append(out, netip.AddrPortFrom(a.Unmap(), uint16(number)))
	}
	return out, nil
}

// maxAddresses bounds how many addresses of one host are tried.
const maxAddresses = 4

func (n *reach) lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	found, err := n.resolver.LookupNetIP(ctx, "ip", host)
	if err == nil && len(found) == 0 {
		err = errors.New("it has none")
	}
	return found[:min(len(found), maxAddresses)], err
}

// named reports whether both the manifest and the node name the very host, and it is an address or localhost: then its
// address may be any.
func (n *reach) named(target string) bool {
	host, _, err := net.SplitHostPort(target)
	if _, bad := netip.ParseAddr(host); err != nil || bad != nil && host != "localhost" {
		return false
	}
	return slices.Contains(n.request.Hosts, target) && slices.ContainsFunc(n.offers, func(o Offer) bool {
		return o.Kind == n.request.Kind && slices.Contains(o.Hosts, target)
	})
}

// Addresses that are somebody's metadata service without being link-local, and prefixes that carry an IPv4 address.
var (
	metadata  = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16")}
	nat64     = []netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}
	sixToFour = netip.MustParsePrefix("2002::/16")
	thisNet   = netip.MustParsePrefix("0.0.0.0/8")
)

// forbidden says what an address is that a name must not lead to, or nothing.
func forbidden(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	switch {
	case a.IsLoopback():
		return "this machine itself"
	case a.IsLinkLocalUnicast():
		return "link-local, where metadata services are"
	case slices.Contains(metadata, a):
		return "a metadata service"
	case a.IsMulticast() || a.IsUnspecified() || a.Is4() && (thisNet.Contains(a) || a.As4() == [4]byte{255, 255, 255, 255}):
		return "nobody's own"
	}
	if inner, carries := carried(a); carries {
		return forbidden(inner)
	}
	return ""
}

// carried returns the IPv4 address inside of an IPv6 one.
func carried(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() {
		return a, false
	}
	b := a.As16()
	switch {
	case slices.ContainsFunc(nat64, func(p netip.Prefix) bool { return p.Contains(a) }):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return a, false
}

// dial connects to the first address of a host that answers. The address that was judged is the one that is dialled.
func (n *reach) dial(ctx context.Context, network, target string) (net.Conn, error) {
	all, err := n.addresses(ctx, target)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, at := range all {
		c, err := new(net.Dialer).DialContext(ctx, network, at.String())
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("connect to %s: %w", target, errors.Join(errs...))
}
