package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// crowd is a transport with devices behind it that answer by themselves: every read and observation with a number.
type crowd struct {
	receiver coap.Receiver
	ready    chan struct{}
	answers  chan struct{} // one for each 2.01
}

func (c *crowd) Name() string        { return "udp" }
func (c *crowd) Traits() coap.Traits { return coap.Traits{} }
func (c *crowd) Serve(ctx context.Context, r coap.Receiver) error {
	c.receiver = r
	close(c.ready)
	<-ctx.Done()
	return nil
}

func (c *crowd) Send(p coap.Peer, m []byte) error {
	if m[1] == 2<<5|1 {
		c.answers <- struct{}{}
		return nil
	}
	if m[1] == get {
		n := 4 + int(m[0]&15)
		answer := append([]byte{m[0]&0xcf | ack<<4, 2<<5 | 5}, m[2:n]...)
		answer = append(answer, 6<<4|1, 1, 6<<4, 0xff, '8', '0') // Observe: 1, Content-Format: 0
		go c.receiver.Receive(p, answer)
	}
	return nil
}

func crowdPeer(n int) coap.Peer {
	return coap.Peer{Transport: "udp", Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 5683)}
}

// registration is device n's, with the links that devices of one kind share.
func registration(n int) []byte {
	p := packet{kind: con, code: post, id: uint16(n), token: "t", payload: crowdLinks,
		options: []field{{optPath, "rd"}, {optQuery, fmt.Sprintf("ep=urn:dev:ops:32473-%08d", n)}, {optQuery, "lt=86400"}, {optQuery, "lwm2m=1.1"}, {optQuery, "b=U"}, uintField(optFormat, 40)}}
	return p.bytes()
}

const crowdLinks = `</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1>;ver=1.1,</1/0>,</3>;ver=1.1,</3/0>,</4/0>,</5/0>,</6/0>,</7/0>,</9>,</19/0>,</19/1>,</3303/0>,</3304/0>,</35001>,</35002>`

func newCrowd(tb testing.TB, st *store.Store) (*Server, *crowd) {
	c := &crowd{ready: make(chan struct{}), answers: make(chan struct{}, 1<<17)}
	config := Config{Transports: []coap.Transport{c}, Authorise: Bound("*"), Store: st, Limits: Limits{Registrations: 1e9, FollowUps: 1e9}}
	config.CoAP.Limits = coap.Limits{PeerRate: -1, AddressRate: -1, Amplification: -1, Queue: 1 << 17}
	s, err := New(config)
	must(tb, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	if st != nil {
		running.Go(func() { _ = st.Run(ctx) })
	}
	tb.Cleanup(func() { stop(); running.Wait() })
	<-c.ready
	return s, c
}

func (c *crowd) register(from, to int) {
	for n := from; n < to; n++ {
		c.receiver.Receive(crowdPeer(n), registration(n))
		if n%512 == 511 {
			for range 512 {
				<-c.answers
			}
		}
	}
	for range (to - from) % 512 {
		<-c.answers
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// BenchmarkMemory bounds what a registered device costs in the server, the endpoint and the store's index together, with
// one resource observed: see B/device.
func BenchmarkMemory(b *testing.B) {
	const devices = 100_000
	st, _, err := store.Open(b.TempDir(), store.Options{})
	must(b, err)
	b.Cleanup(func() { must(b, st.Close()) })
	s, c := newCrowd(b, st)
	before := inUse()
	for range b.N {
		began := time.Now()
		c.register(0, devices)
		b.ReportMetric(float64(devices)/time.Since(began).Seconds(), "registrations/s")
		b.ReportMetric(float64(inUse()-before)/devices, "B/registered")
		began = time.Now()
		observeAll(b, s, devices)
		b.ReportMetric(float64(devices)/time.Since(began).Seconds(), "observed/s")
		b.ReportMetric(float64(inUse()-before)/devices, "B/device")
	}
	if s.Len() != devices || s.byToken.size() != devices {
		b.Errorf("%d devices, %d observations", s.Len(), s.byToken.size())
	}
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
}

func observeAll(b testing.TB, s *Server, devices int) {
	next := make(chan string, 1024)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for endpoint := range next {
				if _, _, err := s.Observe(context.Background(), endpoint, lwm2m.PathOf(3, 0, 9)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for r := range s.Devices() {
		next <- r.Endpoint
	}
	close(next)
	all.Wait()
}

// BenchmarkRegister bounds the work for a registration in the server, CoAP included, without sockets.
func BenchmarkRegister(b *testing.B) {
	_, c := newCrowd(b, nil)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		c.receiver.Receive(crowdPeer(n), registration(n))
		<-c.answers
		n++
	}
}

// BenchmarkNotification bounds the work for a notification, from the datagram to the subscriber.
func BenchmarkNotification(b *testing.B) {
	s, c := newCrowd(b, nil)
	c.register(0, 1)
	observeAll(b, s, 1)
	token := ""
	for d := range s.byEndpoint.all() {
		token = string(binary.BigEndian.AppendUint64(nil, d.observations[0].token))
	}
	sub := s.Subscribe(1024)
	p := packet{kind: non, code: 2<<5 | 5, token: token, payload: "81", options: []field{uintField(optObserve, 0), uintField(optFormat, 0)}}
	b.ReportAllocs()
	n := uint32(10)
	for b.Loop() {
		n++
		p.id, p.options[0] = uint16(n), uintField(optObserve, n)
		c.receiver.Receive(crowdPeer(0), p.bytes())
		if e, err := sub.Next(context.Background()); err != nil || e.Kind != Notified {
			b.Fatal(e, err)
		}
	}
}

// BenchmarkRestore bounds the server's part of a restart with 100,000 devices, the store's included.
func BenchmarkRestore(b *testing.B) {
	const devices = 100_000
	dir := b.TempDir()
	st, _, err := store.Open(dir, store.Options{})
	must(b, err)
	func() {
		s, c := newCrowd(b, st)
		c.register(0, devices)
		observeAll(b, s, devices)
	}()
	must(b, st.Flush())
	b.Cleanup(func() { must(b, st.Close()) })
	for b.Loop() {
		began := time.Now()
		s, err := New(Config{Transports: []coap.Transport{newWire("udp")}, Store: st})
		must(b, err)
		if s.Len() != devices {
			b.Fatal(s.Len())
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/restart")
	}
}
