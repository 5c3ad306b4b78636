package coap

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a Transport in memory, on which a test plays the peers: it sends what it likes and sees what is sent, and when.
type wire struct {
	traits   Traits
	receiver Receiver
	serving  chan struct{}

	mu   sync.Mutex
	sent []sighted
}

// sighted is a message that the endpoint sent.
type sighted struct {
	at   time.Time
	to   Peer
	data []byte
	Message
}

func newWire() *wire { return &wire{serving: make(chan struct{})} }

func (w *wire) Name() string   { return "wire" }
func (w *wire) Traits() Traits { return w.traits }

func (w *wire) Serve(ctx context.Context, r Receiver) error {
	w.receiver = r
	close(w.serving)
	<-ctx.Done()
	return nil
}

func (w *wire) Send(p Peer, message []byte) error {
	s := sighted{at: time.Now(), to: p, data: append([]byte(nil), message...)}
	if err := decodeDatagram(s.data, &s.Message); err != nil {
		panic(fmt.Sprintf("endpoint sent %x: %v", message, err))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = append(w.sent, s)
	return nil
}

// take waits until everything that can go on has gone on, and returns what was sent since the last call.
func (w *wire) take() []sighted {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

// one is the only message that was sent since.
func (w *wire) one(t *testing.T) sighted {
	t.Helper()
	sent := w.take()
	if len(sent) != 1 {
		t.Fatalf("%d messages were sent, not one: %s", len(sent), describe(sent))
	}
	return sent[0]
}

func (w *wire) none(t *testing.T) {
	t.Helper()
	if sent := w.take(); len(sent) != 0 {
		t.Fatalf("sent: %s", describe(sent))
	}
}

func describe(sent []sighted) string {
	var all []string
	for _, s := range sent {
		all = append(all, s.String())
	}
	return strings.Join(all, "; ")
}

// say sends a message of the peer's.
func (w *wire) say(p Peer, m *Message) {
	datagram, err := appendDatagram(nil, m)
	if err != nil {
		panic(err)
	}
	w.receiver.Receive(p, datagram)
}

// raw sends bytes, given in hexadecimal digits.
func (w *wire) raw(p Peer, digits string) {
	b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		panic(err)
	}
	w.receiver.Receive(p, b)
}

// device is the n-th peer.
func device(n int) Peer {
	return Peer{Transport: "wire", Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + n>>8), byte(n)}), 5683)}
}

// lockstep runs play in a bubble of its own, with an endpoint whose only transport is the wire.
func lockstep(t *testing.T, config Config, play func(t *testing.T, w *wire, e *Endpoint)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		config.Transports = []Transport{w}
		e := start(t, config)
		<-w.serving
		play(t, w, e)
	})
}

// result is what Do or Notify returned.
type result struct {
	answer *Message
	err    error
	at     time.Time
}

// ask calls Do in the background.
func ask(e *Endpoint, p Peer, m *Message) <-chan result {
	done := make(chan result, 1)
	go func() {
		answer, err := e.Do(context.Background(), p, m)
		done <- result{answer, err, time.Now()}
	}()
	return done
}

// answer is what the peer says to it, with its acknowledgement.
func (s *sighted) answer(code Code, payload string) *Message {
	return &Message{Type: Acknowledgement, Code: code, ID: s.ID, Token: s.Token, Payload: []byte(payload)}
}

func netipPort(p Peer, port uint16) netip.AddrPort { return netip.AddrPortFrom(p.Remote.Addr(), port) }
