package dtls

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Dial implements [coap.Dialer] with [Config].Credentials. An association with the address that is there already, from an
// earlier process for instance, is used: whoever finds it dead calls ClosePeer and dials again.
func (t *Transport) Dial(ctx context.Context, address string) (coap.Peer, error) {
	if t.config.Credentials == nil {
		return coap.Peer{}, errors.New("dial a DTLS server: no credentials are configured")
	}
	resolved, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return coap.Peer{}, fmt.Errorf("dial a DTLS server: %w", err)
	}
	remote := unmap(resolved.AddrPort())
	if a := t.table.dialledTo(remote); a != nil {
		return t.peer(a), nil
	}
	c, err := t.config.Credentials(address)
	if err != nil {
		return coap.Peer{}, fmt.Errorf("dial %s: %w", address, err)
	}
	a, refused, err := t.dial(ctx, remote, c)
	if refused && ctx.Err() == nil { // RATIONALE.md, "Why does Dial try twice?"
		a, _, err = t.dial(ctx, remote, c)
	}
	if err != nil {
		return coap.Peer{}, fmt.Errorf("dial %s: %w", address, err)
	}
	return t.peer(a), nil
}

// dial shakes hands with a server once. Refused says that it failed since the server, or who claims to be it, would not go on.
func (t *Transport) dial(ctx context.Context, remote netip.AddrPort, c Credentials) (_ *association, refused bool, _ error) {
	h := newHandshake(t, remote, true)
	h.principal = string(c.Identity)
	conn, err := t.client(h, c)
	if err != nil {
		return nil, false, err
	}
	if !t.enter(h) {
		return nil, false, errors.New("a handshake with it is under way, or the transport is closed")
	}
	defer t.shakes.Done()
	a, err := t.shake(ctx, h, conn)
	if err != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		return nil, h.refused, fmt.Errorf("%w: %w", err, coap.ErrUnreachable)
	}
	return a, false, nil
}
