package coap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// The tests here are named after the faults that were found in another server for LwM2M, in the order of the research report's list.

// 1: an undecodable datagram from a peer's address ends nothing that goes on with the peer.
func TestGarbageEndsNothing(t *testing.T) {
	mine, notified := TokenOf([]byte("observed")), 0
	config := Config{Handler: echo, Notifications: func(_ context.Context, _ Peer, n *Message) bool { notified++; return n.Token == mine }}
	lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
		p := device(1)
		done := ask(e, p, request(GET, "/1"))
		q := w.one(t)
		random := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			garbage := make([]byte, random.IntN(40))
			for i := range garbage {
				garbage[i] = byte(random.Uint32())
			}
			if len(garbage) > 0 {
				garbage[0] |= 0x0f // of a reserved token length, so that none of it is a message by chance
			}
			w.receiver.Receive(p, garbage)
		}
		w.take()
		w.say(p, &Message{Code: Content, ID: 1, Token: mine})
		if a := w.one(t); a.Type != Acknowledgement || notified != 1 {
			t.Errorf("a notification: %v", &a.Message)
		}
		w.say(p, request(GET, "/x"))
		if a := w.one(t); a.Code != Content {
			t.Errorf("a request: %v", &a.Message)
		}
		w.say(p, q.answer(Content, "fine"))
		if r := <-done; r.err != nil {
			t.Errorf("our request: %v", r.err)
		}
	})
}

// 2: a handler that blocks for one peer, with however many messages behind it, delays no other peer.
func TestOneSlowPeerDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, block := newWire(), make(chan struct{})
		e := start(t, Config{Transports: []Transport{w}, Limits: Limits{PeerRate: -1}, Handler: HandlerFunc(func(_ context.Context, p Peer, _, response *Message) {
			if p == device(1) {
				<-block
			}
			response.Code = Changed
		})})
		<-w.serving
		for id := range 1000 {
			m := request(POST, "/rd")
			m.ID = uint16(id)
			w.say(device(1), m)
			if id == 0 {
				synctest.Wait() // until it is being handled
			}
		}
		w.none(t)
		began := time.Now()
		w.say(device(2), request(POST, "/rd"))
		if a := w.one(t); a.to != device(2) || a.at != began {
			t.Errorf("the other peer is answered %v late", a.at.Sub(began))
		}
		close(block)
		time.Sleep(time.Second)
		if s := e.Stats(); s.Requests != 1+1+16 || s.Overload != 1000-1-16 {
			t.Errorf("of a thousand messages %d were handled and %d lost", s.Requests-1, s.Overload)
		}
		w.take()
		m := request(POST, "/rd")
		m.ID = 999
		w.say(device(1), m) // sent again, because it was lost
		if a := w.one(t); a.Type != Acknowledgement || a.Code != Changed {
			t.Errorf("what was lost and sent again: %v", &a.Message)
		}
	})
}

// 2, again: with one idle worker, two messages at once get two workers.
func TestAnIdleWorkerIsCountedOnOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, block := newWire(), make(chan struct{})
		start(t, Config{Transports: []Transport{w}, Handler: HandlerFunc(func(_ context.Context, p Peer, _, response *Message) {
			if p == device(1) {
				<-block
			}
			response.Code = Changed
		})})
		<-w.serving
		w.say(device(9), request(POST, "/rd"))
		w.one(t) // whose worker is idle now
		w.say(device(1), request(POST, "/rd"))
		for n := range 5 {
			w.say(device(2+n), request(POST, "/rd"))
		}
		if sent := w.take(); len(sent) != 5 {
			t.Errorf("%d of 5 are answered beside one that blocks", len(sent))
		}
		close(block)
		w.one(t)
	})
}

// 3: TestNotificationsAreForWhoKnowsTheirToken.

// 4: messages of sources that nothing goes on with leave nothing behind but entries of tables that do not grow.
func TestForgedSourcesCostNothing(t *testing.T) {
	const sources = 60_000
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		e := start(t, Config{Transports: []Transport{silent{w}}, Handler: echo, Limits: Limits{History: 1024, Peers: 1024, AddressRate: -1, PeerRate: -1}})
		<-w.serving
		flood := func(from, to int) {
			for n := from; n < to; n++ {
				p := Peer{Transport: "wire", Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 5683)}
				w.raw(p, "40 00 12 34")
				w.raw(p, "40 01 12 35 b1 61")
				if n%1000 == 0 {
					synctest.Wait()
				}
			}
			synctest.Wait()
		}
		flood(0, 5000)
		before, routines := heap(), runtime.NumGoroutine()
		flood(5000, sources)
		if grown := int64(heap()) - int64(before); grown > 1<<20 || e.peersBusy() != 0 || runtime.NumGoroutine() > routines {
			t.Errorf("%d bytes, %d peers and %d goroutines more after %d sources", grown, e.peersBusy(), runtime.NumGoroutine()-routines, sources)
		}
	})
}

// silent is a wire that does not keep what is sent.
type silent struct{ *wire }

func (silent) Send(Peer, []byte) error { return nil }

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// 5: TestRequestsAreSentAgainAsRFC7252Says. 6: TestNotificationsAreForWhoKnowsTheirToken.
// 7: TestAnswers (a reset), TestUDPSaysAtOnceWhoIsUnreachable.

// 8: however long a peer is silent, it is asked and answered as before.
func TestSilenceEndsNothing(t *testing.T) {
	mine := TokenOf([]byte("observed"))
	config := Config{Handler: echo, Notifications: func(_ context.Context, _ Peer, n *Message) bool { return n.Token == mine }}
	lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
		for day := range 3 {
			w.say(device(1), &Message{Code: Content, ID: uint16(day), Token: mine})
			if a := w.one(t); a.Type != Acknowledgement {
				t.Errorf("day %d: %v", day, &a.Message)
			}
			done := ask(e, device(1), request(GET, "/1"))
			q := w.one(t)
			w.say(device(1), q.answerTo())
			if r := <-done; r.err != nil {
				t.Error(r.err)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// 9: a handler that panics answers 5.00, is counted, and stops nothing.
func TestPanicsAreAnswered(t *testing.T) {
	config := Config{
		Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
			response.Code, response.Payload = Content, []byte("half")
			_ = request.Payload[0] // of an empty payload
		}),
		Notifications: func(context.Context, Peer, *Message) bool { panic("no") },
	}
	lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
		for id := range uint16(3) {
			m := request(GET, "/1")
			m.ID = id
			w.say(device(1), m)
			if a := w.one(t); a.Code != InternalServerError || len(a.Payload) != 0 {
				t.Errorf("got %v", &a.Message)
			}
		}
		w.say(device(1), &Message{Code: Content, ID: 9})
		if a := w.one(t); a.Type != Reset {
			t.Errorf("a notification: %v", &a.Message)
		}
		if s := e.Stats(); s.Panics != 4 {
			t.Errorf("counted %d", s.Panics)
		}
	})
}

// 10: TestOneUnacknowledgedExchangeForAPeer.

func TestWhatWaitsIsBoundedInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, block := newWire(), make(chan struct{})
		e := start(t, Config{Transports: []Transport{w}, Limits: Limits{Workers: 2, Queue: 10, Challenge: -1}, Handler: HandlerFunc(
			func(_ context.Context, _ Peer, _, response *Message) { <-block })})
		<-w.serving
		for n := range 100 {
			w.say(device(n), request(GET, fmt.Sprint(n)))
			synctest.Wait()
		}
		if s := e.Stats(); s.Overload != 100-2-10 {
			t.Errorf("%d were lost, not 88", s.Overload)
		}
		close(block)
		if sent := w.take(); len(sent) != 12 {
			t.Errorf("%d were answered, not 12", len(sent))
		}
		if n := e.peersBusy(); n != 0 {
			t.Errorf("%d peers are still kept", n)
		}
	})
}

func TestClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire()
		e, err := New(Config{Transports: []Transport{w}, Handler: HandlerFunc(func(ctx context.Context, _ Peer, _, _ *Message) { <-ctx.Done() })})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		<-w.serving
		w.say(device(2), request(GET, "/"))
		done := ask(e, device(1), request(GET, "/"))
		waits := ask(e, device(1), request(GET, "/"))
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for _, c := range []<-chan result{done, waits, ask(e, device(1), request(GET, "/"))} {
			if r := <-c; !errors.Is(r.err, ErrClosed) {
				t.Errorf("got %v", r.err)
			}
		}
		w.say(device(3), request(GET, "/")) // too late
		if n := e.peersBusy(); n != 0 {
			t.Errorf("%d peers are still kept", n)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	w := newWire()
	for _, c := range []struct {
		name   string
		config Config
	}{
		{"no transport", Config{}},
		{"two of one name", Config{Transports: []Transport{w, w}}},
		{"a block size that is no power of two", Config{Transports: []Transport{w}, Limits: Limits{BlockSize: 100}}},
		{"a negative limit", Config{Transports: []Transport{w}, Limits: Limits{Workers: -1}}},
		{"a random factor below 1", Config{Transports: []Transport{w}, Reliability: Reliability{RandomFactor: 0.5}}},
	} {
		if _, err := New(c.config); err == nil {
			t.Errorf("%s is accepted", c.name)
		}
	}
}
