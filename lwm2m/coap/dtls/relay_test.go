package dtls

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// relay is a NAT between a device and a server that a test can turn: it sees every datagram, may lose it, and can take
// another port towards the server.
type relay struct {
	t     testing.TB
	front *net.UDPConn

	mu     sync.Mutex
	server netip.AddrPort
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

// leadTo has the server be elsewhere from now on.
func (r *relay) leadTo(server netip.AddrPort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server = server
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
		back, server := r.back, r.server
		r.mu.Unlock()
		if !lost {
			_, _ = back.WriteToUDPAddrPort(b[:n], server)
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

// awaitSent waits until n datagrams have come from the device, and returns all.
func (r *relay) awaitSent(n int) [][]byte {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // the relay reads them in its own time
		switch all := r.sent(); {
		case len(all) >= n:
			return all
		case time.Now().After(end):
			r.t.Fatalf("the device sent %d datagrams, want %d", len(all), n)
		}
	}
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
