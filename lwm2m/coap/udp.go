package coap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sync/errgroup"
)

// UDPConfig says where a UDP transport listens.
type UDPConfig struct {
	Name string // "udp" if empty
	// Addresses are "host:port"; an unspecified host is every address, of IPv6 and IPv4 at once. None is one free port on all addresses.
	Addresses []string
	// Sockets (1) of each address share its port (SO_REUSEPORT): the kernel spreads peers over them, each has its reader.
	Sockets int
	// Buffer (1 MiB) is how many bytes the kernel may hold for a socket in each direction; it may give less.
	Buffer int
	// MaxMessage (64 KiB) is the greatest datagram that is taken; each socket holds as much. 2 KiB takes blocks of 1,024 bytes.
	MaxMessage int
}

// UDP is a Transport over plain datagrams. Its peers are addresses, which anybody can forge: none is verified. Answers
// leave from the address that was spoken to.
type UDP struct {
	name    string
	most    int // bytes of a datagram
	sockets []*udpSocket
}

// udpSocket is one socket of a transport.
type udpSocket struct {
	conn  *net.UDPConn
	local netip.AddrPort
	wide  bool // bound to all addresses: what datagrams leave from must be said
	six   bool // of IPv6, which carries IPv4 in mapped addresses
}

// ListenUDP opens the sockets. They receive when an endpoint serves the transport.
func ListenUDP(ctx context.Context, config UDPConfig) (*UDP, error) {
	u := &UDP{name: config.Name, most: cmp.Or(config.MaxMessage, 64<<10)}
	if u.name == "" {
		u.name = "udp"
	}
	addresses := config.Addresses
	if len(addresses) == 0 {
		addresses = []string{":0"}
	}
	for _, address := range addresses {
		for range max(config.Sockets, 1) {
			s, err := listenUDP(ctx, address, config.Sockets > 1, config.Buffer)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("listen for CoAP on %s: %w", address, err), u.Close())
			}
			u.sockets = append(u.sockets, s)
			address = s.local.String() // where port 0 was asked for, the others share what came
		}
	}
	return u, nil
}

func listenUDP(ctx context.Context, address string, share bool, buffer int) (*udpSocket, error) {
	listen := net.ListenConfig{Control: controlUDP(share)}
	c, err := listen.ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	conn := c.(*net.UDPConn)
	s := &udpSocket{conn: conn, local: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	s.wide, s.six = s.local.Addr().IsUnspecified(), s.local.Addr().Is6()
	if buffer == 0 {
		buffer = 1 << 20
	}
	// The kernel clips what it does not grant; it refuses nothing.
	_, _ = conn.SetReadBuffer(buffer), conn.SetWriteBuffer(buffer)
	return s, nil
}

// Name is the transport's.
func (u *UDP) Name() string { return u.name }

// Traits are those of datagrams of unknown origin.
func (u *UDP) Traits() Traits { return Traits{MaxMessage: maxUDPMessage} }

// maxUDPMessage is what one datagram of a block of 1,024 bytes needs, with room for long options.
const maxUDPMessage = 2048

// Addresses are those that the sockets are bound to, in the order of the configuration.
func (u *UDP) Addresses() []netip.AddrPort {
	var all []netip.AddrPort
	for _, s := range u.sockets {
		all = append(all, s.local)
	}
	return all
}

// Dial makes a Peer of an address; nothing is sent.
func (u *UDP) Dial(ctx context.Context, address string) (Peer, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return Peer{}, fmt.Errorf("find %s: %w", address, err)
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return Peer{}, fmt.Errorf("find %s: %w", address, err)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return Peer{}, fmt.Errorf("find %s: %w", address, err)
	}
	for _, ip := range ips {
		p := Peer{Transport: u.name, Remote: netip.AddrPortFrom(ip.Unmap(), uint16(number))}
		if u.socket(p) != nil {
			return p, nil
		}
	}
	return Peer{}, fmt.Errorf("find %s: no socket reaches %v: %w", address, ips, ErrUnreachable)
}

// Serve reads all sockets until ctx is done; it closes them then.
func (u *UDP) Serve(ctx context.Context, receiver Receiver) error {
	reading, failed := errgroup.WithContext(ctx)
	for _, s := range u.sockets {
		reading.Go(func() error { return s.read(ctx, u.name, u.most, receiver) })
	}
	<-failed.Done()
	_ = u.Close()
	return reading.Wait()
}

// Close closes the sockets of a transport that is not served.
func (u *UDP) Close() error {
	var problems []error
	for _, s := range u.sockets {
		if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// read is a socket's reader.
func (s *udpSocket) read(ctx context.Context, name string, most int, receiver Receiver) error {
	buffer, control := make([]byte, most), make([]byte, controlRoom)
	for ctx.Err() == nil {
		n, c, flags, from, err := s.conn.ReadMsgUDPAddrPort(buffer, control)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil:
			if !s.drainErrors(name, receiver) && !isNetworkError(err) && !isLoss(err) {
				return fmt.Errorf("receive: %w", err)
			}
			continue
		case truncated(flags):
			continue
		}
		p := Peer{Transport: name, Remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Local: s.local}
		if s.wide {
			if local, ok := localOf(control[:c]); ok {
				p.Local = netip.AddrPortFrom(local, s.local.Port())
			}
		}
		receiver.Receive(p, buffer[:n])
	}
	return nil
}

// Send sends one datagram from the address that p spoke to.
func (u *UDP) Send(p Peer, datagram []byte) error {
	s := u.socket(p)
	if s == nil {
		return fmt.Errorf("no socket reaches %s from %s: %w", p.Remote, p.Local, ErrUnreachable)
	}
	return s.send(p, datagram)
}

func (s *udpSocket) send(p Peer, datagram []byte) error {
	to := p.Remote
	if s.six && to.Addr().Is4() {
		to = netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
	}
	var room [controlRoom]byte
	control := room[:0]
	if s.wide && p.Local.Addr().IsValid() && !p.Local.Addr().IsUnspecified() {
		control = appendLocal(control, p.Local.Addr(), s.six)
	}
	var err error
	for range 3 { // an error that an earlier datagram caused is told to whoever comes next
		if _, _, err = s.conn.WriteMsgUDPAddrPort(datagram, control, to); err == nil || !isNetworkError(err) {
			break
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, net.ErrClosed):
		return ErrClosed
	case isLoss(err):
		return nil
	}
	return fmt.Errorf("send to %s: %w: %w", p.Remote, ErrUnreachable, err)
}

// socket is the one that p is reached from; nil if there is none.
func (u *UDP) socket(p Peer) *udpSocket {
	v4 := p.Remote.Addr().Is4()
	for _, s := range u.sockets {
		if v4 && s.six && !s.wide || !v4 && !s.six {
			continue
		}
		local := p.Local
		if local.Port() == 0 || local.Port() == s.local.Port() && (s.wide || s.local.Addr() == local.Addr()) {
			return s
		}
	}
	return nil
}
