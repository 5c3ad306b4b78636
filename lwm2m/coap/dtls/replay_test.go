package dtls

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// process is an endpoint over a transport, as a gateway's or a device's process has them.
type process struct {
	*coap.Endpoint
	transport *Transport
	addr      netip.AddrPort
	stop      func()
}

func startProcess(t *testing.T, config Config, handler coap.Handler) *process {
	t.Helper()
	socket := listen(t, "127.0.0.1:0")
	transport, err := New(socket, config)
	if err != nil {
		t.Fatal(err)
	}
	endpoint, err := coap.New(coap.Config{Transports: []coap.Transport{transport}, Handler: handler})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Run(ctx) }()
	p := &process{Endpoint: endpoint, transport: transport, addr: unmap(socket.LocalAddr().(*net.UDPAddr).AddrPort())}
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// executed counts how often each request was handled, in whichever process.
type executed struct {
	mu    sync.Mutex
	times map[string]int
	from  map[coap.Peer]bool
}

func (e *executed) Serve(_ context.Context, p coap.Peer, request, response *coap.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.times[string(request.Payload)]++
	e.from[p] = true
	response.Code = coap.Changed
}

// TestNothingIsExecutedTwice plays back all that a device ever sent, in its order and in the reverse one, from its address and from another,
// against a gateway that is awake, asleep, and another process than the one that had it before. The endpoint's own memory of duplicates is no
// help there: it knows nothing of the last process.
func TestNothingIsExecutedTwice(t *testing.T) {
	commands := &executed{times: map[string]int{}, from: map[coap.Peer]bool{}}
	states := &memoryStates{}
	gateway := startProcess(t, Config{PSK: testPSK, States: states}, commands)
	nat := startRelay(t, gateway.addr)
	device := startProcess(t, Config{Credentials: as("alice")}, nil)
	to, err := device.transport.Dial(t.Context(), nat.addr().String())
	if err != nil {
		t.Fatal(err)
	}
	stranger := listen(t, "127.0.0.1:0")
	defer stranger.Close()

	asked := map[string]int{}
	ask := func() {
		t.Helper()
		for range 3 {
			command := &coap.Message{Code: coap.POST, Payload: fmt.Append(nil, "command ", len(asked))}
			answer, err := device.Do(t.Context(), to, command)
			if err != nil || answer.Code != coap.Changed {
				t.Fatalf("%s: %v, %v", command.Payload, answer, err)
			}
			asked[string(command.Payload)] = 1
		}
	}
	replay := func() {
		t.Helper()
		recorded := nat.sent()
		for _, datagram := range recorded {
			nat.inject(datagram)
		}
		for _, datagram := range slices.Backward(recorded) {
			nat.inject(bytes.Clone(datagram))
			_, _ = stranger.WriteToUDPAddrPort(datagram, gateway.addr)
		}
		ask() // the gateway takes these after those, as they are of one peer if they are of any
		commands.mu.Lock()
		defer commands.mu.Unlock()
		if !maps.Equal(commands.times, asked) || len(commands.from) != 1 {
			t.Errorf("executed %v as asked by %v, want each once and by one peer", commands.times, commands.from)
		}
		if n, own := gateway.Stats().Duplicates, device.Stats().Retransmissions; n > own {
			t.Errorf("%d duplicates came as far as the endpoint, and the device sent %d", n, own)
		}
		for p := range commands.from {
			if addr, _ := gateway.transport.Address(p); addr == unmap(stranger.LocalAddr().(*net.UDPAddr).AddrPort()) {
				t.Error("the device is where its records were played back from")
			}
		}
	}
	observer := &node{t: t, Transport: gateway.transport, change: make(chan struct{})} // to wait with
	ask()
	replay()

	asleep(observer)
	replay()

	nat.rebind()
	ask()
	replay()

	for _, end := range []func() *memoryStates{
		func() *memoryStates { gateway.stop(); return states },
		func() *memoryStates { // as kill -9 would
			observer.Transport = gateway.transport
			saved(observer)
			left := states.crash()
			nat.lossy(func(bool, []byte) bool { return true })
			gateway.stop()
			nat.lossy(nil)
			return left
		},
	} {
		states = end()
		gateway = startProcess(t, Config{PSK: testPSK, States: states}, commands)
		nat.leadTo(gateway.addr)
		replay() // before the device says anything
		replay()
		if s := gateway.transport.Stats(); s.Handshakes > 0 || s.Replayed == 0 {
			t.Errorf("stats %+v, want no handshake, and replays that are counted", s)
		}
	}
}
