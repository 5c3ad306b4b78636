//go:build linux

package faredge

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// relay is a network between devices and their gateway, with a translation of addresses that can be made to forget, and losses.
type relay struct {
	front  *net.UDPConn
	target *net.UDPAddr
	loss   atomic.Int64 // percent
	passed atomic.Int64 // packets, both ways

	mu     sync.Mutex
	dice   *rand.Rand
	backs  map[netip.AddrPort]*net.UDPConn // what stands for each device towards the gateway
	closed bool
	work   sync.WaitGroup
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", target)
	must(t, err)
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	r := &relay{front: front, target: to, dice: rand.New(rand.NewPCG(1, 2)), backs: map[netip.AddrPort]*net.UDPConn{}}
	r.work.Go(r.outward)
	t.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		front.Close()
		r.rebind()
		r.work.Wait()
	})
	return r
}

func (r *relay) address() string { return r.front.LocalAddr().String() }

// rebind gives every device another address at its next packet. What is on its way to the old ones is lost.
func (r *relay) rebind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for device, back := range r.backs {
		back.Close()
		delete(r.backs, device)
	}
}

// outward carries what devices send.
func (r *relay) outward() {
	packet := make([]byte, 64<<10)
	for {
		n, device, err := r.front.ReadFromUDPAddrPort(packet)
		if err != nil {
			return
		}
		if back := r.back(device); back != nil && r.passes() {
			_, _ = back.Write(packet[:n])
		}
	}
}

func (r *relay) back(device netip.AddrPort) *net.UDPConn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.backs[device] != nil {
		return r.backs[device]
	}
	back, err := net.DialUDP("udp", nil, r.target)
	if err != nil {
		return nil
	}
	r.backs[device] = back
	r.work.Go(func() { r.inward(back, device) })
	return back
}

// inward carries what the gateway sends to one device.
func (r *relay) inward(back *net.UDPConn, device netip.AddrPort) {
	packet := make([]byte, 64<<10)
	for {
		n, err := back.Read(packet)
		switch {
		case n > 0 && r.passes():
			_, _ = r.front.WriteToUDPAddrPort(packet[:n], device)
		case err != nil && r.forgotten(back, device):
			return
		}
	}
}

// forgotten is false if only nobody listens at the gateway's address (ECONNREFUSED).
func (r *relay) forgotten(back *net.UDPConn, device netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.backs[device] != back
}

func (r *relay) passes() bool {
	r.passed.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dice.Int64N(100) >= r.loss.Load()
}
