package coap

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestNotificationsAreForWhoKnowsTheirToken(t *testing.T) {
	mine := TokenOf([]byte("observed"))
	var got []string
	config := Config{Notifications: func(_ context.Context, p Peer, n *Message) bool {
		if n.Token != mine {
			return false
		}
		got = append(got, p.Remote.String()+" "+string(n.Payload))
		return true
	}}
	lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
		n := &Message{Code: Content, ID: 1, Token: mine, Payload: []byte("a")}
		n.SetUint(Observe, 1)
		w.say(device(1), n)
		if a := w.one(t); a.Type != Acknowledgement || a.Code != Empty || a.ID != 1 {
			t.Errorf("known: %v", &a.Message)
		}
		w.say(device(1), n)
		if a := w.one(t); a.Type != Acknowledgement {
			t.Errorf("its duplicate: %v", &a.Message)
		}
		n.Type, n.ID, n.Payload = NonConfirmable, 2, []byte("b")
		w.say(device(2), n) // the device's address changed
		w.none(t)
		for i, kind := range []Type{Confirmable, NonConfirmable} {
			n.Type, n.ID, n.Token = kind, uint16(10+i), TokenOf([]byte("unknown"))
			for range 2 {
				w.say(device(1), n)
				if a := w.take(); len(a) == 0 || a[0].Type != Reset || a[0].ID != n.ID {
					if kind == Confirmable || len(a) > 0 {
						t.Errorf("unknown %s: %s", kind, describe(a))
					}
				}
			}
		}
		if len(got) != 2 || got[0] != device(1).Remote.String()+" a" || got[1] != device(2).Remote.String()+" b" {
			t.Errorf("got %q", got)
		}
		if s := e.Stats(); s.Unknown != 2 || s.Duplicates != 3 {
			t.Errorf("counted %+v", s)
		}
	})
}

func TestNotifying(t *testing.T) {
	var refused []Token
	config := Config{Refused: func(_ Peer, token Token) { refused = append(refused, token) }}
	lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
		notify := func(kind Type, token string) <-chan error {
			n := &Message{Type: kind, Code: Content, Token: TokenOf([]byte(token)), Payload: []byte("1")}
			n.SetUint(Observe, 5)
			done := make(chan error, 1)
			go func() { done <- e.Notify(context.Background(), device(1), n) }()
			return done
		}
		done := notify(Confirmable, "con")
		sent := w.one(t)
		w.say(device(1), &Message{Type: Acknowledgement, ID: sent.ID})
		if err := <-done; err != nil {
			t.Error(err)
		}
		done = notify(Confirmable, "rst")
		sent = w.one(t)
		w.say(device(1), &Message{Type: Reset, ID: sent.ID})
		if err := <-done; !errors.Is(err, ErrReset) {
			t.Errorf("reset: %v", err)
		}
		if err := <-notify(NonConfirmable, "non"); err != nil {
			t.Error(err)
		}
		sent = w.one(t)
		w.say(device(2), &Message{Type: Reset, ID: sent.ID}) // not from who observes
		w.say(device(1), &Message{Type: Reset, ID: sent.ID})
		w.say(device(1), &Message{Type: Reset, ID: sent.ID})
		synctest.Wait()
		if len(refused) != 1 || refused[0] != TokenOf([]byte("non")) {
			t.Errorf("refused %v", refused)
		}
		done = notify(Confirmable, "gone")
		if err := <-done; !errors.Is(err, ErrTimeout) {
			t.Errorf("nobody there: %v", err)
		}
	})
}

func TestLargeNotificationsAreCompleted(t *testing.T) {
	whole := sample(2500)
	a, b := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}}), listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	observer := make(chan *Endpoint, 1)
	completed := make(chan *Message, 1)
	observer <- start(t, Config{Transports: []Transport{a}, Notifications: func(ctx context.Context, p Peer, n *Message) bool {
		all, err := (<-observer).Complete(ctx, p, request(GET, "/19/0/0").with(Observe, 0), n)
		if err != nil {
			t.Error(err)
			close(completed)
			return false
		}
		completed <- all
		return true
	}})
	e := start(t, Config{Transports: []Transport{b}, Handler: HandlerFunc(func(_ context.Context, _ Peer, _, response *Message) {
		response.Code, response.Payload = Content, whole
	})})
	n := &Message{Code: Content, Token: TokenOf([]byte("t")), Payload: whole}
	n.SetUint(Observe, 3)
	if err := e.Notify(t.Context(), dial(t, b, a.Addresses()[0].String()), n); err != nil {
		t.Fatal(err)
	}
	all := <-completed
	if all == nil {
		return
	}
	if order, ok := all.Uint(Observe); !bytes.Equal(all.Payload, whole) || !ok || order != 3 {
		t.Errorf("completed to %d bytes, order %d", len(all.Payload), order)
	}
}

func TestNewerNotifications(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name       string
		last, next uint32
		after      time.Duration
		want       bool
	}{
		{"next", 1, 2, 0, true},
		{"the same", 2, 2, 0, false},
		{"reordered", 2, 1, time.Second, false},
		{"round the end", 1<<24 - 1, 0, 0, true},
		{"reordered round the end", 0, 1<<24 - 1, 0, false},
		{"so late that the order says nothing", 2, 1, 129 * time.Second, true},
		{"far ahead", 0, 1 << 23, 0, false},
	} {
		if got := Newer(c.last, now, c.next, now.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
