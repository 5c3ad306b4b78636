package coap

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestFloodsFromForgedSourcesDelayNobody floods a real socket from the addresses of 127/8 with requests, pings, garbage and
// beginnings of bodies, while one honest device goes on asking.
func TestFloodsFromForgedSourcesDelayNobody(t *testing.T) {
	if testing.Short() {
		t.Skip("floods a socket for seconds")
	}
	server := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}, Buffer: 4 << 20})
	e := start(t, Config{Transports: []Transport{server}, Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
		response.Code, response.Payload = Content, request.Payload
	})})
	target := Peer{Transport: "udp", Remote: server.Addresses()[0]}
	honest := listen(t, UDPConfig{})
	device := start(t, Config{Transports: []Transport{honest}})
	flooder := listen(t, UDPConfig{Addresses: []string{"0.0.0.0:0"}})
	defer flooder.Close()

	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int)
	go func() { sent <- flood(ctx, flooder, target) }()
	before := heap()
	var took []time.Duration
	for began := time.Now(); time.Since(began) < 3*time.Second; {
		m := request(POST, "/rd")
		m.Payload = []byte("hello")
		asked := time.Now()
		if _, err := device.Do(t.Context(), target, m); err != nil {
			t.Errorf("after %v: %v", time.Since(asked), err)
		}
		took = append(took, time.Since(asked))
	}
	cancel()
	n := <-sent
	slices.Sort(took)
	s := e.Stats()
	t.Logf("%d forged messages, %d received; %d honest requests, median %v, p99 %v; heap grew by %d KiB; %+v", n, s.Received, len(took),
		took[len(took)/2], took[len(took)*99/100], (int64(heap())-int64(before))>>10, s)
	if s.Requests < uint64(len(took)) || s.Panics > 0 {
		t.Errorf("counted %+v", s)
	}
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

const floodEachMillisecond = 10

// flood sends forged messages until ctx is done, and says how many.
func flood(ctx context.Context, from *UDP, to Peer) int {
	random := rand.New(rand.NewPCG(1, 1))
	begun := request(PUT, "/9/0/2").with(Block1, block{more: true, exponent: 6}.value())
	begun.Payload = sample(1024)
	pace := time.NewTicker(time.Millisecond) // what is more than the machine can read is lost in the kernel, honest messages too
	defer pace.Stop()
	for n := 0; ; n++ {
		if n%floodEachMillisecond == 0 {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return n
			}
		}
		to.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, byte(1 + random.IntN(250)), byte(random.IntN(256)), byte(1 + random.IntN(250))}), from.Addresses()[0].Port())
		m := []*Message{request(POST, "/rd"), {}, begun}[n%3]
		m.ID = uint16(n)
		datagram, _ := appendDatagram(nil, m)
		if n%4 == 0 {
			datagram = datagram[:random.IntN(len(datagram))+1]
		}
		_ = from.Send(to, datagram)
	}
}
