package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// wire is a transport in memory, so that tests with a clock of their own (synctest) can drive a whole server.
type wire struct {
	name string

	mu       sync.Mutex
	receiver coap.Receiver
	ends     map[netip.AddrPort]chan []byte
	ready    chan struct{}
	broken   chan struct{}
}

var errBroken = errors.New("the wire is broken")

func newWire(name string) *wire {
	return &wire{name: name, ends: make(map[netip.AddrPort]chan []byte), ready: make(chan struct{}), broken: make(chan struct{})}
}

func (w *wire) Name() string        { return w.name }
func (w *wire) Traits() coap.Traits { return coap.Traits{Verified: w.name == "secure"} }

func (w *wire) Serve(ctx context.Context, r coap.Receiver) error {
	w.mu.Lock()
	w.receiver = r
	w.mu.Unlock()
	close(w.ready)
	select {
	case <-ctx.Done():
		return nil
	case <-w.broken:
		return errBroken
	}
}

func (w *wire) Send(p coap.Peer, message []byte) error {
	w.mu.Lock()
	end := w.ends[p.Remote]
	w.mu.Unlock()
	if end == nil {
		return nil // lost
	}
	select {
	case end <- append([]byte(nil), message...):
	default:
	}
	return nil
}

// rig is a server that runs, with its wires.
type rig struct {
	t      testing.TB
	server *Server
	plain  *wire
	secure *wire
	sub    *Subscription
	stop   context.CancelFunc
	done   chan struct{}
}

// start runs a server in the test's bubble until the test ends, or stop.
func start(t testing.TB, config Config) *rig {
	t.Helper()
	r := &rig{t: t, plain: newWire("udp"), secure: newWire("secure"), done: make(chan struct{})}
	config.Transports = []coap.Transport{r.plain, r.secure}
	if config.Authorise == nil {
		config.Authorise = Bound("*")
	}
	if testing.Verbose() {
		config.Logger = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	}
	config.CoAP.Limits.PeerRate = -1
	s, err := New(config)
	must(t, err)
	r.server, r.sub = s, s.Subscribe(1024)
	ctx, stop := context.WithCancel(context.Background())
	r.stop = func() { stop(); <-r.done }
	go func() {
		defer close(r.done)
		if err := s.Run(ctx); err != nil && !errors.Is(err, errBroken) {
			t.Errorf("Run: %v", err)
		}
	}()
	<-r.plain.ready
	<-r.secure.ready
	t.Cleanup(r.stop)
	return r
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// bubble runs a test with a clock of its own and a server.
func bubble(t *testing.T, config Config, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, config)
		f(r)
	})
}

// openStore opens a store for a test in a bubble.
func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, _, err := store.Open(dir, store.Options{})
	must(t, err)
	return s
}

// expect takes the next events and compares them: "registered dev".
func (r *rig) expect(want ...string) (events []Event) {
	r.t.Helper()
	for _, w := range want {
		ctx, stop := context.WithTimeout(context.Background(), 10*time.Minute)
		e, err := r.sub.Next(ctx)
		stop()
		if err != nil {
			r.t.Fatalf("no event, want %q: %v", w, err)
		}
		got := e.Kind.String() + " " + e.Endpoint
		if e.Tree != nil {
			got += " " + e.Tree.String()
		}
		if got != w {
			r.t.Fatalf("event %q (%v), want %q", got, e.Err, w)
		}
		events = append(events, e)
	}
	return events
}

// quiet checks that no event is there.
func (r *rig) quiet() {
	r.t.Helper()
	synctest.Wait()
	if e, ok := r.sub.take(); ok {
		r.t.Errorf("event %v %s %v", e.Kind, e.Endpoint, e.Err)
	}
}

// script is a device that a test plays, message by message.
type script struct {
	t      testing.TB
	wire   *wire
	peer   coap.Peer
	end    chan []byte
	id     uint16
	others []packet // came while another was waited for
	where  string   // its registration
}

func (r *rig) device(address string) *script {
	return r.deviceOn(r.plain, coap.Peer{Transport: "udp", Remote: netip.MustParseAddrPort(address)})
}

// secured is a device whose identity the transport vouches for.
func (r *rig) secured(identity string, association uint64) *script {
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(association >> 8), byte(association)}), 5684)
	return r.deviceOn(r.secure, coap.Peer{Transport: "secure", Remote: address, Association: association, Identity: identity})
}

func (r *rig) deviceOn(w *wire, p coap.Peer) *script {
	d := &script{t: r.t, wire: w, peer: p, end: make(chan []byte, 64), id: 100}
	w.mu.Lock()
	w.ends[p.Remote] = d.end
	w.mu.Unlock()
	return d
}

// vanish loses all that is sent to the device from here on.
func (d *script) vanish() {
	d.wire.mu.Lock()
	defer d.wire.mu.Unlock()
	delete(d.wire.ends, d.peer.Remote)
}

func (d *script) back() {
	d.wire.mu.Lock()
	defer d.wire.mu.Unlock()
	d.wire.ends[d.peer.Remote] = d.end
}

func (d *script) send(p packet) { d.wire.receiver.Receive(d.peer, p.bytes()) }

// receive returns the next message of the server, within a minute.
func (d *script) receive() packet {
	d.t.Helper()
	select {
	case b := <-d.end:
		return parsePacket(d.t, b)
	case <-time.After(5 * time.Minute):
		d.t.Fatal("the server sends nothing")
	}
	return packet{}
}

// silent checks that the server sends nothing now.
func (d *script) silent() {
	d.t.Helper()
	synctest.Wait()
	select {
	case b := <-d.end:
		d.t.Errorf("the server sends %s", parsePacket(d.t, b).request())
	default:
	}
}

// call sends a confirmable request and returns its answer.
func (d *script) call(method byte, path string, payload string, options ...field) packet {
	d.t.Helper()
	d.id++
	p := packet{kind: con, code: method, id: d.id, token: fmt.Sprintf("t%d", d.id), payload: payload}
	target, query, _ := strings.Cut(path, "?")
	for segment := range strings.SplitSeq(strings.Trim(target, "/"), "/") {
		p.options = append(p.options, field{optPath, segment})
	}
	if query != "" {
		for q := range strings.SplitSeq(query, "&") {
			p.options = append(p.options, field{optQuery, q})
		}
	}
	p.options = append(p.options, options...)
	d.send(p)
	for {
		got := d.receive()
		if got.token == p.token && got.kind == ack {
			return got
		}
		d.others = append(d.others, got)
	}
}

const links = `</>;rt="oma.lwm2m",</1/0>,</3/0>,</4/0>,</9>,</19/0>,</3303/0>;ver=1.1`

// register registers, with more parameters such as "&Q".
func (d *script) register(endpoint, more string) packet {
	d.t.Helper()
	got := d.call(post, "/rd?ep="+endpoint+more, links, uintField(optFormat, 40))
	if got.answer() == "2.01" {
		d.where = got.location()
	}
	return got
}

// registered is register with what must come of it.
func (d *script) registered(endpoint, more string) *script {
	d.t.Helper()
	if got := d.register(endpoint, more); got.answer() != "2.01" {
		d.t.Fatalf("registration answers %s %q", got.answer(), got.payload)
	}
	return d
}

func (d *script) update(more string) packet {
	d.t.Helper()
	return d.call(post, d.where+more, "")
}

// asked waits for a request of the server and compares it.
func (d *script) asked(want string) packet {
	d.t.Helper()
	var got packet
	if len(d.others) > 0 {
		got, d.others = d.others[0], d.others[1:]
	} else {
		got = d.receive()
	}
	if got.request() != want {
		d.t.Fatalf("the server asks %s, want %s", got.request(), want)
	}
	return got
}

// reply answers a request piggybacked.
func (d *script) reply(request packet, answer, payload string, options ...field) {
	d.send(packet{kind: ack, code: code(answer), id: request.id, token: request.token, options: options, payload: payload})
}

func (d *script) text(request packet, payload string, options ...field) {
	d.reply(request, "2.05", payload, append(options, uintField(optFormat, 0))...)
}

// notify sends a confirmable notification and returns what comes back: "ACK" or "RST".
func (d *script) notify(token string, sequence uint32, payload string) string {
	d.t.Helper()
	d.id++
	d.send(packet{kind: con, code: code("2.05"), id: d.id, token: token, payload: payload, options: []field{uintField(optObserve, sequence), uintField(optFormat, 0)}})
	for {
		got := d.receive()
		if got.id == d.id && (got.kind == ack || got.kind == rst) {
			return map[byte]string{ack: "ACK", rst: "RST"}[got.kind]
		}
		d.others = append(d.others, got)
	}
}

// pending is a call of the server that goes on while the test plays the device.
type pending[T any] struct {
	value T
	err   error
	done  chan struct{}
}

func begin[T any](f func() (T, error)) *pending[T] {
	p := &pending[T]{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.value, p.err = f()
	}()
	return p
}

func (p *pending[T]) wait() (T, error) { <-p.done; return p.value, p.err }

func (r *rig) read(ctx context.Context, endpoint, path string) *pending[lwm2m.Tree] {
	return begin(func() (lwm2m.Tree, error) { return r.server.Read(ctx, endpoint, lwm2m.MustParsePath(path)) })
}

// succeeds checks what a read brings.
func (r *rig) succeeds(p *pending[lwm2m.Tree], want string) {
	r.t.Helper()
	got, err := p.wait()
	must(r.t, err)
	if got.String() != want {
		r.t.Errorf("got %s, want %s", got, want)
	}
}

func errorCode(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return fmt.Sprint(err)
}

// careful checks that an error says all that a person needs.
func careful(t testing.TB, err error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code == "" || e.CoAP == 0 || e.What == "" || e.Why == "" || e.Hint == "" {
		t.Errorf("error %#v", err)
	}
}

func asTransports(w *wire) []coap.Transport { return []coap.Transport{w} }

func peerAt(address string) coap.Peer {
	return coap.Peer{Transport: "udp", Remote: netip.MustParseAddrPort(address)}
}

func fuzzMessage(query, document string) *coap.Message {
	request := &coap.Message{Code: coap.POST, Payload: []byte(document)}
	for q := range strings.SplitSeq(query, "&") {
		request.AddQuery(q)
	}
	return request
}
