package coap

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDuplicatesHaveNoSecondEffect(t *testing.T) {
	calls := 0
	handler := HandlerFunc(func(_ context.Context, _ Peer, _, response *Message) {
		calls++
		response.Code, response.Payload = Changed, []byte(strings.Repeat("x", 10*calls))
	})
	for _, kind := range []Type{Confirmable, NonConfirmable} {
		t.Run(kind.String(), func(t *testing.T) {
			calls = 0
			lockstep(t, Config{Handler: handler, Limits: Limits{History: 4, Amplification: -1}}, func(t *testing.T, w *wire, e *Endpoint) {
				m := request(POST, "/rd")
				m.Type, m.ID, m.Token = kind, 42, TokenOf([]byte("t"))
				w.say(device(1), m)
				first := w.one(t)
				w.say(device(1), m)
				again := w.take()
				if kind == Confirmable && (len(again) != 1 || string(again[0].data) != string(first.data)) {
					t.Errorf("duplicate is answered %s", describe(again))
				}
				if kind == NonConfirmable && len(again) != 0 {
					t.Errorf("duplicate is answered %s", describe(again))
				}
				w.say(device(2), m) // the same id of another peer
				w.one(t)
				if calls != 2 {
					t.Errorf("handled %d times, not 2", calls)
				}
				for id := range 4 { // the ring goes round: what is bounded forgets
					m.ID = uint16(1000 + id)
					w.say(device(3), m)
				}
				synctest.Wait()
				w.take()
				m.ID = 42
				w.say(device(1), m)
				w.one(t)
				time.Sleep(exchangeLifetime)
				w.say(device(1), m) // an id may be used again after that
				w.one(t)
				if calls != 8 {
					t.Errorf("handled %d times, not 8", calls)
				}
			})
		})
	}
}

func TestLongAnswersForDuplicatesAreBoundedInBytes(t *testing.T) {
	handler := HandlerFunc(func(_ context.Context, _ Peer, _, response *Message) {
		response.Code, response.Payload = Content, make([]byte, 500)
	})
	lockstep(t, Config{Handler: handler, Limits: Limits{HistoryBytes: 5000, Amplification: -1}}, func(t *testing.T, w *wire, e *Endpoint) {
		for n := range 1000 {
			m := request(PUT, "/x")
			m.ID = uint16(n)
			w.say(device(n), m)
		}
		w.take()
		h := &e.links[0].history
		if h.bytes > 5000 || len(h.longs) > 10 {
			t.Errorf("%d bytes of %d answers are kept", h.bytes, len(h.longs))
		}
	})
}

func TestSlowAnswersAreSeparate(t *testing.T) {
	release := make(chan struct{})
	var calls int
	config := Config{Handler: HandlerFunc(func(_ context.Context, _ Peer, _, response *Message) {
		calls++
		<-release
		response.Code = Changed
	})}
	synctest.Test(t, func(t *testing.T) {
		release, calls = make(chan struct{}), 0
		w := newWire()
		config.Transports = []Transport{w}
		e := start(t, config)
		<-w.serving
		m := request(POST, "/slow")
		m.ID, m.Token = 5, TokenOf([]byte{9})
		began := time.Now()
		w.say(device(1), m)
		w.none(t)
		time.Sleep(time.Second)
		if ack := w.one(t); ack.Type != Acknowledgement || ack.Code != Empty || ack.ID != 5 || ack.at.Sub(began) != time.Second {
			t.Errorf("after a second: %v", &ack.Message)
		}
		w.say(device(1), m)
		if ack := w.one(t); ack.Type != Acknowledgement || ack.Code != Empty {
			t.Errorf("duplicate meanwhile: %v", &ack.Message)
		}
		close(release)
		answer := w.one(t)
		if answer.Type != Confirmable || answer.Code != Changed || answer.Token != m.Token {
			t.Errorf("separate answer: %v", &answer.Message)
		}
		time.Sleep(3 * time.Second)
		if again := w.one(t); string(again.data) != string(answer.data) {
			t.Errorf("retransmission: %v", &again.Message)
		}
		w.say(device(1), &Message{Type: Acknowledgement, ID: answer.ID})
		time.Sleep(time.Hour)
		w.none(t)
		if calls != 1 || e.peersBusy() != 0 {
			t.Errorf("handled %d times, %d peers are still kept", calls, e.peersBusy())
		}
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name, send, answer string // hexadecimal; "" for silence
	}{
		{"a ping", "40 00 12 34", "70 00 12 34"},
		{"an empty message with a token", "41 00 12 34 aa", "70 00 12 34"},
		{"a truncated confirmable", "48 01 12 34 aa", "70 00 12 34"},
		{"a token of 9 bytes", "49 01 12 34 01 02 03 04 05 06 07 08 09", "70 00 12 34"},
		{"an option beyond the end", "40 01 12 34 b9 41", "70 00 12 34"},
		{"a reserved option length", "40 01 12 34 bf 41", "70 00 12 34"},
		{"a marker without a payload", "40 01 12 34 ff", "70 00 12 34"},
		{"a reserved class", "40 e1 12 34", "70 00 12 34"},
		{"class 1", "40 21 12 34", "70 00 12 34"},
		{"version 2", "80 01 12 34", ""},
		{"three bytes", "40 01 12", ""},
		{"nothing", "", ""},
		{"a non-confirmable that makes no sense", "58 01 12 34 aa", ""},
		{"a stray acknowledgement", "60 00 12 34", ""},
		{"a stray reset", "70 00 12 34", ""},
		{"a request as an acknowledgement", "60 01 12 34", ""},
		{"a request as a reset", "70 01 12 34", ""},
		{"an unknown critical option", "40 01 12 34 99 41 42 43 44 45 46 47 48 49", "60 82 12 34"},
		{"one in a non-confirmable", "50 01 12 34 91 41", ""},
		{"a critical option that is too long", "40 01 12 34 79 01 02 03 04 05 06 07 08 09", "60 82 12 34"},
		{"Q-Block1, which is critical and not understood", "40 01 12 34 d1 06 00", "60 82 12 34"},
		{"Block1 twice", "40 03 12 34 d1 0e 08 01 18", "60 82 12 34"},
		{"an unknown elective option", "40 01 12 34 c1 41 d1 ff 00", "60 84 12 34"},
		{"a request to a proxy", "40 01 12 34 d4 16 63 6f 61 70", "60 a5 12 34"},
		{"an answer that nobody asked for", "42 45 12 34 aa bb", "70 00 12 34"},
		{"one that is not confirmable", "52 45 12 34 aa bb", "70 00 12 34"},
		{"a reserved block size", "40 01 12 34 d1 0a 07", "60 80 12 34"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
				w.raw(device(1), c.send)
				sent := w.take()
				got := ""
				for _, s := range sent {
					got += fmt.Sprintf("% x", s.data)
				}
				if got != c.answer {
					t.Errorf("%s is answered %q, not %q", c.send, got, c.answer)
				}
			})
		})
	}
}
