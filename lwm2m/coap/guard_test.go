package coap

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestUnverifiedPeersGetThreeTimesWhatTheySent(t *testing.T) {
	whole := sample(1500)
	config := Config{Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
		response.Code, response.Payload = Content, whole
		if request.Path() == "/error" {
			response.Code, response.Payload = BadRequest, sample(200)
		}
	})}
	for _, c := range []struct {
		name, path string
		token      int
		code       Code
	}{
		{"a large answer comes in small blocks", "/some/path", 8, Content},
		{"an error without its text", "/error", 0, BadRequest},
		{"where even that is too much a challenge", "/", 8, Unauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
				q := request(GET, c.path)
				q.Token = TokenOf(make([]byte, c.token))
				datagram, _ := appendDatagram(nil, q)
				w.say(device(1), q)
				a := w.one(t)
				if len(a.data) > 3*len(datagram) || a.Code != c.code {
					t.Errorf("%d bytes are answered by %d: %v", len(datagram), len(a.data), &a.Message)
				}
				if _, challenged := a.Opaque(Echo); challenged != (c.code == Unauthorized) {
					t.Errorf("challenge: %v", challenged)
				}
				w.say(device(1), q)
				if again := w.one(t); string(again.data) != string(a.data) {
					t.Errorf("the duplicate is answered otherwise: %v", &again.Message)
				}
			})
		})
	}
	t.Run("a request too short even for a challenge is not answered", func(t *testing.T) {
		lockstep(t, config, func(t *testing.T, w *wire, _ *Endpoint) {
			w.say(device(1), request(GET, "/"))
			w.none(t)
		})
	})
	t.Run("who answers a request of ours is verified", func(t *testing.T) {
		lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
			done := ask(e, device(1), request(GET, "/"))
			q := w.one(t)
			w.say(device(1), q.answerTo())
			<-done
			w.say(device(1), request(GET, "/"))
			if a := w.one(t); a.Code != Content || len(a.Payload) != 1024 {
				t.Errorf("got %v", &a.Message)
			}
			time.Sleep(25 * time.Hour)
			w.say(device(1), request(GET, "/"))
			w.none(t)
		})
	})
}

func TestWhoEchoesIsVerified(t *testing.T) {
	config := Config{Handler: HandlerFunc(func(_ context.Context, _ Peer, _, response *Message) {
		response.Code, response.Payload = Content, sample(100)
	})}
	for _, c := range []struct {
		name string
		late time.Duration
		from Peer
		code Code
	}{
		{"at once", 0, device(1), Content},
		{"too late", 2 * time.Minute, device(1), Unauthorized},
		{"from elsewhere", 0, device(2), Content}, // its request is longer now, so that a small block fits
	} {
		t.Run(c.name, func(t *testing.T) {
			lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
				q := request(GET, "/")
				q.Token = TokenOf(make([]byte, 8))
				w.say(device(1), q)
				first := w.one(t)
				challenge, _ := first.Opaque(Echo)
				time.Sleep(c.late)
				q.ID++
				if c.late == 0 {
					q.SetOpaque(Echo, challenge)
				}
				w.say(c.from, q)
				a := w.one(t)
				if a.Code != c.code {
					t.Errorf("got %v", &a.Message)
				}
				if whole := len(a.Payload) == 100; whole != (c.name == "at once") {
					t.Errorf("%d bytes", len(a.Payload))
				}
			})
		})
	}
}

func TestClientsAnswerChallenges(t *testing.T) {
	lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
		done := ask(e, device(1), request(GET, "/1"))
		for range 2 {
			q := w.one(t)
			a := q.answer(Unauthorized, "")
			a.SetOpaque(Echo, []byte("challenge"))
			if echoed, ok := q.Opaque(Echo); ok && string(echoed) == "challenge" {
				a = q.answer(Content, "in")
			}
			w.say(device(1), a)
		}
		if r := <-done; r.err != nil || string(r.answer.Payload) != "in" {
			t.Errorf("got %v, error %v", r.answer, r.err)
		}
	})
}

func TestRatesOfUnverifiedSources(t *testing.T) {
	config := Config{Handler: echo, Limits: Limits{PeerRate: 10, AddressRate: 30}}
	lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
		flood := func(p Peer, n int) int {
			for i := range n {
				w.raw(p, fmt.Sprintf("40 01 %04x b1 61", i+int(time.Now().Unix()%60000)))
				synctest.Wait()
			}
			return len(w.take())
		}
		if n := flood(device(1), 100); n < 20 || n > 22 {
			t.Errorf("%d of 100 at once are taken of one peer", n)
		}
		sum := 0
		for port := range uint16(10) {
			p := device(2)
			p.Remote = netipPort(p, 1000+port)
			sum += flood(p, 100)
		}
		if sum < 60 || sum > 62 {
			t.Errorf("%d of 1000 at once are taken of one address", sum)
		}
		if n := flood(device(3), 5); n != 5 {
			t.Errorf("%d of 5 are taken of another one", n)
		}
		time.Sleep(time.Second)
		if n := flood(device(1), 100); n < 10 || n > 11 {
			t.Errorf("%d are taken a second later", n)
		}
		if s := e.Stats(); s.Limited == 0 {
			t.Error("nothing is counted")
		}
	})
}

func TestChallengesUnderPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		defer func() {
			if t.Failed() {
				close(block)
			}
		}()
		w := newWire()
		e := start(t, Config{Transports: []Transport{w}, Limits: Limits{Workers: 1, Challenge: 2, Queue: 100}, Handler: HandlerFunc(
			func(_ context.Context, _ Peer, _, response *Message) {
				<-block
				response.Code = Changed
			})})
		<-w.serving
		for n := range 4 { // one is being handled, three wait
			w.say(device(n), request(POST, "/rd"))
			synctest.Wait()
		}
		w.none(t)
		q := request(POST, "/rd")
		q.Token = TokenOf(make([]byte, 8))
		w.say(device(9), q)
		a := w.one(t)
		challenge, ok := a.Opaque(Echo)
		if a.Code != Unauthorized || !ok {
			t.Fatalf("got %v", &a.Message)
		}
		q.ID++
		q.SetOpaque(Echo, challenge)
		w.say(device(9), q)
		w.none(t)
		close(block)
		if sent := w.take(); len(sent) != 5 {
			t.Errorf("answered: %s", describe(sent))
		}
		if s := e.Stats(); s.Challenged != 1 || s.Requests != 5 {
			t.Errorf("counted %+v", s)
		}
	})
}
