package coap

import (
	"testing"
	"testing/synctest"
	"time"
)

// forgetful is a transport after a crash: it refuses the next messages of its peer.
type forgetful struct {
	*wire
	refuses, owed int
}

func (f *forgetful) Owed(Peer) int {
	n := f.owed
	f.owed = 0
	return n
}

// hear takes a message of the peer's as the transport does.
func (f *forgetful) hear(p Peer, m *Message) {
	if f.refuses > 0 {
		f.refuses--
		f.receiver.(Primer).Prime(p)
		return
	}
	f.say(p, m)
}

// TestResume: what a transport refuses after a crash costs no retransmission of an answer, and one of a request.
func TestResume(t *testing.T) {
	play := func(t *testing.T, f func(t *testing.T, w *forgetful, e *Endpoint)) {
		synctest.Test(t, func(t *testing.T) {
			w := &forgetful{newWire(), 4, 4}
			e := start(t, Config{Transports: []Transport{w}})
			<-w.serving
			f(t, w, e)
		})
	}
	pings := func(t *testing.T, w *forgetful, sent []sighted) {
		t.Helper()
		ids := map[uint16]bool{}
		for _, s := range sent {
			if s.Type != Confirmable || s.Code != Empty {
				t.Fatalf("sent: %s", s.String())
			}
			ids[s.ID] = true
		}
		if len(ids) != 4 {
			t.Fatalf("%d pings were sent: %s", len(ids), describe(sent))
		}
		for _, s := range sent {
			w.hear(device(1), &Message{Type: Reset, ID: s.ID})
		}
	}
	t.Run("we ask", func(t *testing.T) {
		play(t, func(t *testing.T, w *forgetful, e *Endpoint) {
			began := time.Now()
			done := ask(e, device(1), &Message{Type: Confirmable, Code: GET})
			sent := w.take()
			pings(t, w, sent[:len(sent)-1])
			w.hear(device(1), sent[len(sent)-1].answer(Content, "x"))
			if r := <-done; r.err != nil || r.at != began {
				t.Errorf("got %v after %s", r.err, r.at.Sub(began))
			}
			w.none(t)
		})
	})
	t.Run("it asks", func(t *testing.T) {
		play(t, func(t *testing.T, w *forgetful, _ *Endpoint) {
			w.refuses = 5
			request := &Message{Type: Confirmable, Code: GET, ID: 7}
			w.hear(device(1), request)
			pings(t, w, w.take())
			w.none(t)
			w.hear(device(1), request)
			if s := w.one(t); s.Type != Acknowledgement || s.ID != 7 {
				t.Errorf("sent: %s", s.String())
			}
		})
	})
}
