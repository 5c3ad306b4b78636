package fleet

import (
	"bytes"
	"encoding/binary"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// wantedBuffer is for the answers that come while a device is being served; the kernel may give less.
const wantedBuffer = 8 << 20

func open() (*socket, error) {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, wantedBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, wantedBuffer)
			}
		})
		if err == nil {
			err = failed
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	marker := [4]byte{1, 2, 3, 4}
	control := unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: marker})
	at := bytes.Index(control, marker[:])
	return &socket{UDPConn: conn, control: control, source: control[at : at+4]}, nil
}

// destination returns the address that a datagram was sent to.
func destination(control []byte) (a [4]byte, ok bool) {
	const size = syscall.SizeofCmsghdr + unix.SizeofInet4Pktinfo
	if len(control) < size || binary.NativeEndian.Uint32(control[syscall.SizeofCmsghdr-4:]) != unix.IP_PKTINFO {
		return a, false
	}
	copy(a[:], control[size-4:])
	return a, true
}
