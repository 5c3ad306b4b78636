package coap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// controlRoom is enough for the control messages that a socket is asked for.
const controlRoom = 128

// controlUDP sets a socket up before it is bound: which of our addresses a datagram came to shall be told (ip(7) IP_PKTINFO,
// ipv6(7) IPV6_RECVPKTINFO), and ICMP errors with what they are about (IP_RECVERR).
func controlUDP(share bool) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) error {
		var problem error
		err := c.Control(func(fd uintptr) { problem = setUp(int(fd), network == "udp6", share) })
		return errors.Join(err, problem)
	}
}

func setUp(fd int, six, share bool) error {
	options := [][3]int{
		{unix.SOL_IP, unix.IP_PKTINFO, 1},
		{unix.SOL_IP, unix.IP_RECVERR, 1},
	}
	if six {
		options = append(options, [][3]int{
			{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1},
			{unix.SOL_IPV6, unix.IPV6_RECVERR, 1},
		}...)
	}
	if share {
		options = append(options, [3]int{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			return fmt.Errorf("set socket option %d of level %d: %w", o[1], o[0], err)
		}
	}
	return nil
}

// localOf is the address that a datagram came to, out of its control messages.
func localOf(control []byte) (netip.Addr, bool) {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		if h.Len < unix.SizeofCmsghdr || uint64(h.Len) > uint64(len(control)) {
			break
		}
		data := control[unix.CmsgLen(0):h.Len]
		switch {
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[8:12])), true // struct in_pktinfo: ipi_addr
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data[:16])).Unmap(), true // struct in6_pktinfo: ipi6_addr
		}
		next := unix.CmsgSpace(int(h.Len) - unix.CmsgLen(0))
		if next > len(control) {
			break
		}
		control = control[next:]
	}
	return netip.Addr{}, false
}

// appendLocal appends the control message that says which address a datagram leaves from.
func appendLocal(dst []byte, local netip.Addr, six bool) []byte {
	size, level, kind := unix.SizeofInet4Pktinfo, int32(unix.SOL_IP), int32(unix.IP_PKTINFO)
	if six {
		size, level, kind = unix.SizeofInet6Pktinfo, unix.SOL_IPV6, unix.IPV6_PKTINFO
	}
	start := len(dst)
	dst = dst[:start+unix.CmsgSpace(size)]
	clear(dst[start:])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&dst[start]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	data := dst[start+unix.CmsgLen(0):]
	if six {
		a := local.As16()
		copy(data, a[:])
	} else {
		a := local.As4()
		copy(data[4:], a[:]) // struct in_pktinfo: ipi_spec_dst
	}
	return dst
}

// drainErrors reads the socket's error queue (ip(7) IP_RECVERR), and says whether there was something in it.
func (s *udpSocket) drainErrors(name string, receiver Receiver) bool {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return false
	}
	found := false
	_ = raw.Control(func(fd uintptr) {
		quoted, control := make([]byte, 1500), make([]byte, 512)
		for range 1024 {
			n, c, _, from, err := unix.Recvmsg(int(fd), quoted, control, unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
			if err != nil {
				return
			}
			found = true
			cause, ok := icmpError(control[:c])
			remote, known := addressOf(from)
			if ok && known {
				receiver.Unreachable(Peer{Transport: name, Remote: remote}, quoted[:n], fmt.Errorf("%w: %w", ErrUnreachable, cause))
			}
		}
	})
	return found
}

// icmpError is the error that an ICMP message reported, if the network says that the peer cannot be reached.
func icmpError(control []byte) (error, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, false
	}
	for _, m := range messages {
		if m.Header.Type != unix.IP_RECVERR && m.Header.Type != unix.IPV6_RECVERR || len(m.Data) < 16 {
			continue
		}
		number := syscall.Errno(binary.NativeEndian.Uint32(m.Data)) // struct sock_extended_err: ee_errno, ee_origin
		origin := m.Data[4]
		if (origin == unix.SO_EE_ORIGIN_ICMP || origin == unix.SO_EE_ORIGIN_ICMP6) && number != unix.EMSGSIZE {
			return number, true
		}
	}
	return nil, false
}

func addressOf(from unix.Sockaddr) (netip.AddrPort, bool) {
	switch a := from.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)), true
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port)), true
	}
	return netip.AddrPort{}, false
}

// isNetworkError says whether err is what the network said of a datagram sent before, rather than a fault of the socket.
func isNetworkError(err error) bool {
	for _, e := range []error{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN, unix.EPROTO, unix.ENOPROTOOPT, unix.EACCES, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ETIMEDOUT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isLoss says whether err means that there was no room for a datagram, or no leave.
func isLoss(err error) bool {
	return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM) ||
		errors.Is(err, unix.EPERM) // by a firewall that is closed, or full
}

func truncated(flags int) bool { return flags&unix.MSG_TRUNC != 0 }
