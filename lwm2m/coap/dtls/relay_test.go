package dtls

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// relay is a NAT between a device and a server that a test can turn: it sees every datagram, may lose it, and can take
// another port towards the server.
type relay struct {
	t      testing.TB
	front  *net.UDPConn
	server netip.AddrPort

	mu     sync.Mutex
	back   *net.UDPConn
	device netip.AddrPort
	lose   func(up bool, datagram []byte) bool
	up     [][]byte // all that went to the server
	down   [][]byte // all that came from it
	group  sync.WaitGroup
	closed bool
}

func startRelay(t testing.TB, server netip.AddrPort) *relay {
	r := &relay{t: t, front: listen(t, "127.0.0.1:0"), server: server}
	r.group.Go(r.fromDevice)
	r.rebind()
	t.Cleanup(r.close)
	return r
}

func (r *relay) addr() netip.AddrPort { return unmap(r.front.LocalAddr().(*net.UDPAddr).AddrPort()) }

func (r *relay) close() {
	r.mu.Lock()
	r.closed = true
	_ = r.back.Close()
	r.mu.Unlock()
	_ = r.front.Close()
	r.group.Wait()
}

// rebind takes another port.
func (r *relay) rebind() {
	socket := listen(r.t, "127.0.0.1:0")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.back != nil {
		_ = r.back.Close()
	}
	r.back = socket
	r.group.Go(func() { r.fromServer(socket) })
}

func (r *relay) lossy(lose func(up bool, datagram []byte) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = lose
}

func (r *relay) fromDevice() {
	b := make([]byte, 2048)
	for {
		n, from, err := r.front.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.device = from
		r.up = append(r.up, bytes.Clone(b[:n]))
		lost := r.lose != nil && r.lose(true, b[:n])
		back := r.back
		r.mu.Unlock()
		if !lost {
			_, _ = back.WriteToUDPAddrPort(b[:n], r.server)
		}
	}
}

func (r *relay) fromServer(back *net.UDPConn) {
	b := make([]byte, 2048)
	for {
		n, _, err := back.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.down = append(r.down, bytes.Clone(b[:n]))
		lost := r.lose != nil && r.lose(false, b[:n])
		device := r.device
		r.mu.Unlock()
		if !lost {
			_, _ = r.front.WriteToUDPAddrPort(b[:n], device)
		}
	}
}

// inject sends bytes to the server as if they came from the device.
func (r *relay) inject(datagram []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.back.WriteToUDPAddrPort(datagram, r.server)
}

func (r *relay) sent() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.up...)
}

func (r *relay) received() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.down...)
}
