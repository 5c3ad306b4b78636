package coap

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequestsAreSentAgainAsRFC7252Says(t *testing.T) {
	lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
		began := time.Now()
		done := ask(e, device(1), request(GET, "/3/0"))
		r := <-done
		if !errors.Is(r.err, ErrTimeout) {
			t.Fatalf("got %v, error %v", r.answer, r.err)
		}
		sent := w.take()
		if len(sent) != 5 {
			t.Fatalf("sent %d times, not MAX_RETRANSMIT+1: %s", len(sent), describe(sent))
		}
		first := sent[1].at.Sub(began)
		if first < 2*time.Second || first > 3*time.Second {
			t.Errorf("first retransmission after %v", first)
		}
		wait := first
		for i, s := range sent[1:] {
			if !slices.Equal(s.data, sent[0].data) {
				t.Errorf("retransmission %d differs", i+1)
			}
			if got := s.at.Sub(sent[i].at); got != wait {
				t.Errorf("retransmission %d after %v, not %v", i+1, got, wait)
			}
			wait *= 2
		}
		if got := r.at.Sub(sent[4].at); got != wait {
			t.Errorf("given up %v after the last transmission, not %v", got, wait)
		}
	})
}

func TestFirstWaitIsRandom(t *testing.T) {
	e, err := New(Config{Transports: []Transport{newWire()}})
	if err != nil {
		t.Fatal(err)
	}
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		wait := e.firstWait()
		low, high = min(low, wait), max(high, wait)
	}
	if low < 2*time.Second || low > 2100*time.Millisecond || high > 3*time.Second || high < 2900*time.Millisecond {
		t.Errorf("waits from %v to %v", low, high)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		play   func(w *wire, p Peer, q sighted)
		answer string
		err    error
		last   Type // of what we sent last
		sent   int  // messages of ours after the request
	}{
		{"with the acknowledgement", func(w *wire, p Peer, q sighted) { w.say(p, q.answer(Content, "x")) }, "x", nil, 0, 0},
		{"separate", func(w *wire, p Peer, q sighted) {
			w.say(p, &Message{Type: Acknowledgement, ID: q.ID})
			time.Sleep(20 * time.Second)
			w.say(p, &Message{Code: Content, ID: 7, Token: q.Token, Payload: []byte("late")})
		}, "late", nil, Acknowledgement, 1},
		{"separate and not confirmable", func(w *wire, p Peer, q sighted) {
			w.say(p, &Message{Type: Acknowledgement, ID: q.ID})
			w.say(p, &Message{Type: NonConfirmable, Code: Content, ID: 7, Token: q.Token, Payload: []byte("non")})
		}, "non", nil, 0, 0},
		{"separate, before its acknowledgement", func(w *wire, p Peer, q sighted) {
			w.say(p, &Message{Code: Content, ID: 7, Token: q.Token, Payload: []byte("swapped")})
			w.say(p, &Message{Type: Acknowledgement, ID: q.ID})
		}, "swapped", nil, Acknowledgement, 1},
		{"separate twice, because our acknowledgement was lost", func(w *wire, p Peer, q sighted) {
			for range 2 {
				w.say(p, &Message{Code: Content, ID: 7, Token: q.Token, Payload: []byte("once")})
				synctest.Wait()
			}
		}, "once", nil, Acknowledgement, 2},
		{"a reset", func(w *wire, p Peer, q sighted) { w.say(p, &Message{Type: Reset, ID: q.ID}) }, "", ErrReset, 0, 0},
		{"acknowledged and then nothing", func(w *wire, p Peer, q sighted) { w.say(p, &Message{Type: Acknowledgement, ID: q.ID}) }, "", ErrTimeout, 0, 0},
		{"of another token, then the right one", func(w *wire, p Peer, q sighted) {
			w.say(p, &Message{Type: Acknowledgement, Code: Content, ID: q.ID, Token: TokenOf([]byte("wrong")), Payload: []byte("forged")})
			w.say(p, q.answer(Content, "right"))
		}, "right", nil, 0, 0},
		{"of another peer, then the right one", func(w *wire, p Peer, q sighted) {
			w.say(device(99), q.answer(Content, "forged"))
			w.say(p, q.answer(Content, "right"))
		}, "right", nil, 0, 0},
		{"with another message id, then the right one", func(w *wire, p Peer, q sighted) {
			m := q.answer(Content, "forged")
			m.ID++
			w.say(p, m)
			w.say(p, q.answer(Content, "right"))
		}, "right", nil, 0, 0},
		{"garbage, then the right one", func(w *wire, p Peer, q sighted) {
			w.raw(p, "ff")
			w.raw(p, "6f 45 00 00")
			w.raw(p, "50 45 00 01 ff")
			w.say(p, q.answer(Content, "right"))
		}, "right", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
				done := ask(e, device(1), request(GET, "/3/0"))
				q := w.one(t)
				c.play(w, device(1), q)
				r := <-done
				if !errors.Is(r.err, c.err) || c.err == nil && string(r.answer.Payload) != c.answer {
					t.Errorf("got %v, error %v", r.answer, r.err)
				}
				sent := w.take()
				if len(sent) != c.sent || c.sent > 0 && sent[len(sent)-1].Type != c.last {
					t.Errorf("sent afterwards: %s", describe(sent))
				}
			})
		})
	}
}

func TestOneUnacknowledgedExchangeForAPeer(t *testing.T) {
	lockstep(t, Config{Limits: Limits{PeerWaiting: 2}}, func(t *testing.T, w *wire, e *Endpoint) {
		p := device(1)
		first := ask(e, p, request(GET, "/1"))
		q1 := w.one(t)
		second := ask(e, p, request(GET, "/2"))
		w.none(t)
		third := ask(e, p, request(GET, "/3"))
		w.none(t)
		if r := <-ask(e, p, request(GET, "/4")); !errors.Is(r.err, ErrBusy) {
			t.Errorf("a fourth: %v", r.err)
		}
		other := ask(e, device(2), request(GET, "/5"))
		w.say(device(2), w.one(t).answerTo())
		if r := <-other; r.err != nil {
			t.Errorf("another peer's: %v", r.err)
		}
		w.say(p, &Message{Type: Acknowledgement, ID: q1.ID}) // the answer is to follow, but the turn is free
		q2 := w.one(t)
		if q2.Path() != "/2" {
			t.Errorf("second turn has %s", q2.Path())
		}
		w.say(p, q2.answer(Content, "two"))
		q3 := w.one(t)
		w.say(p, &Message{Type: NonConfirmable, Code: Content, ID: 1, Token: q1.Token, Payload: []byte("one")})
		w.say(p, q3.answer(Content, "three"))
		for i, done := range []<-chan result{first, second, third} {
			if r := <-done; r.err != nil || string(r.answer.Payload) != []string{"one", "two", "three"}[i] {
				t.Errorf("request %d: %v, error %v", i+1, r.answer, r.err)
			}
		}
		if n := e.peersBusy(); n != 0 {
			t.Errorf("%d peers are still kept", n)
		}
	})
}

// answerTo is an answer of no interest.
func (s sighted) answerTo() *Message { return s.answer(Content, "") }

// peersBusy is how many peers something goes on with.
func (e *Endpoint) peersBusy() int {
	n := 0
	for i := range e.shards {
		e.shards[i].mu.Lock()
		n += len(e.shards[i].peers)
		e.shards[i].mu.Unlock()
	}
	return n
}

func TestGivingUpLeavesNothingBehind(t *testing.T) {
	lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		for range 2 { // one is sent, the other waits for its turn
			go func() {
				_, err := e.Do(ctx, device(1), request(GET, "/1"))
				ended <- err
			}()
		}
		w.one(t)
		cancel()
		for range 2 {
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if n := e.peersBusy(); n != 0 {
			t.Errorf("%d peers are still kept", n)
		}
		time.Sleep(time.Hour)
		w.none(t)
	})
}

func TestUnreachablePeersAreKnownAtOnce(t *testing.T) {
	lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
		done := ask(e, device(1), request(GET, "/1"))
		q := w.one(t)
		forged := append([]byte(nil), q.data...)
		forged[5]++ // of the token
		w.receiver.Unreachable(device(1), forged, ErrUnreachable)
		synctest.Wait()
		select {
		case r := <-done:
			t.Fatalf("an error that quotes what we did not send ends the request: %v", r.err)
		default:
		}
		w.receiver.Unreachable(device(1), q.data[:12], ErrUnreachable)
		if r := <-done; !errors.Is(r.err, ErrUnreachable) {
			t.Errorf("got %v", r.err)
		}
	})
}

func TestMessageIDsOfAPeerDoNotRepeatSoon(t *testing.T) {
	lockstep(t, Config{Limits: Limits{Peers: 64}}, func(t *testing.T, w *wire, e *Endpoint) {
		seen := map[Peer]map[uint16]bool{}
		for i := range 3000 {
			p := device(i % 3)
			done := ask(e, p, request(GET, "/"))
			q := w.one(t)
			if seen[p] == nil {
				seen[p] = map[uint16]bool{}
			}
			if seen[p][q.ID] {
				t.Fatalf("id %d is used twice for one peer within %d messages", q.ID, i)
			}
			seen[p][q.ID] = true
			if q.Token.length != 8 {
				t.Fatalf("token %v has not 8 bytes", q.Token)
			}
			w.say(p, q.answerTo())
			<-done
		}
	})
}
