package dtls

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// node is a transport that serves, and what it has received.
type node struct {
	*Transport
	t      *testing.T
	addr   netip.AddrPort
	stop   func()
	echo   atomic.Bool // answer each message with itself
	mu     sync.Mutex
	got    []received
	lost   []coap.Peer
	change chan struct{}
}

type received struct {
	peer    coap.Peer
	message string
}

var testKeys = map[string][]byte{"alice": []byte("key of alice 123"), "bob": []byte("key of bob 45678"), "\xff\x00/+#": []byte("odd")}

func testPSK(identity []byte) ([]byte, string, error) {
	key, ok := testKeys[string(identity)]
	if !ok {
		return nil, "", errors.New("nobody")
	}
	return key, "ep-" + string(identity), nil
}

func as(identity string) func(string) (Credentials, error) {
	return func(string) (Credentials, error) {
		return Credentials{Identity: []byte(identity), Key: testKeys[identity]}, nil
	}
}

func listen(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	return socket
}

func start(t *testing.T, config Config) *node { return startAt(t, listen(t, "127.0.0.1:0"), config) }

func startAt(t *testing.T, socket *net.UDPConn, config Config) *node {
	t.Helper()
	transport, err := New(socket, config)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, transport, unmap(socket.LocalAddr().(*net.UDPAddr).AddrPort()))
}

func serve(t *testing.T, transport *Transport, addr netip.AddrPort) *node {
	n := &node{Transport: transport, t: t, addr: addr, change: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- transport.Serve(ctx, n) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

func (n *node) Receive(p coap.Peer, message []byte) {
	n.mu.Lock()
	n.got = append(n.got, received{p, string(message)})
	echo := n.echo.Load()
	n.mu.Unlock()
	n.changed()
	if echo {
		_ = n.Send(p, message)
	}
}

func (n *node) Unreachable(p coap.Peer, _ []byte, cause error) {
	if !errors.Is(cause, coap.ErrUnreachable) {
		n.t.Errorf("Unreachable with %v", cause)
	}
	n.mu.Lock()
	n.lost = append(n.lost, p)
	n.mu.Unlock()
	n.changed()
}

func (n *node) changed() {
	select {
	case n.change <- struct{}{}:
	default:
	}
}

// await waits until f is true of what has been received.
func (n *node) await(what string, f func() bool) {
	n.t.Helper()
	deadline := time.After(time.Minute)
	for {
		n.mu.Lock()
		ok := f()
		n.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-n.change:
		case <-time.After(5 * time.Millisecond): // counters change without a message
		case <-deadline:
			n.t.Fatalf("%s did not come about: %+v, stats %+v", what, n.got, n.Stats())
		}
	}
}

// expect waits for a message, and returns who sent it.
func (n *node) expect(message string) (from coap.Peer) {
	n.t.Helper()
	n.await("message "+message, func() bool {
		for _, r := range n.got {
			if r.message == message {
				from = r.peer
				return true
			}
		}
		return false
	})
	return from
}

func (n *node) messages() (list []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.got {
		list = append(list, r.message)
	}
	return list
}

func (n *node) dial(to netip.AddrPort) coap.Peer {
	n.t.Helper()
	peer, err := n.Dial(context.Background(), to.String())
	if err != nil {
		n.t.Fatal(err)
	}
	return peer
}

func (n *node) send(to coap.Peer, message string) {
	n.t.Helper()
	if err := n.Send(to, []byte(message)); err != nil {
		n.t.Fatal(err)
	}
}

// memoryStates keeps states in memory, as a disk would.
type memoryStates struct {
	mu     sync.Mutex
	states map[ID][]byte
	fail   error
	saves  int
	gate   chan struct{} // if not nil, each save waits for one
}

func (m *memoryStates) Save(states []State) error {
	if m.gate != nil {
		<-m.gate
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.saves++
	if m.states == nil {
		m.states = map[ID][]byte{}
	}
	for _, s := range states {
		if s.Bytes == nil {
			delete(m.states, s.ID)
		} else {
			m.states[s.ID] = bytes.Clone(s.Bytes)
		}
	}
	return nil
}

func (m *memoryStates) Load(f func(State) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, b := range m.states {
		if err := f(State{ID: id, Bytes: b}); err != nil {
			return err
		}
	}
	return nil
}

// crash returns what a kill at this moment leaves.
func (m *memoryStates) crash() *memoryStates {
	m.mu.Lock()
	defer m.mu.Unlock()
	left := &memoryStates{states: map[ID][]byte{}}
	for id, b := range m.states {
		left.states[id] = bytes.Clone(b)
	}
	return left
}

// hold reports whether an association's limits are what a crash leaves.
func (m *memoryStates) hold(a *association) bool {
	m.mu.Lock()
	left, err := parseState(m.states[a.id])
	m.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	return err == nil && left.sendLimit == a.sendLimit && left.holdFrom == a.holdFrom
}

func (m *memoryStates) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.states)
}
