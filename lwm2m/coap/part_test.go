package coap

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

func TestPartsOfAnAnswer(t *testing.T) {
	whole := sample(2500)
	b := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	start(t, Config{Transports: []Transport{b}, Limits: Limits{Amplification: -1}, Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
		if request.Path() == "/p" {
			response.Code, response.Payload = Content, whole
		}
	})})
	a := listen(t, UDPConfig{})
	e := start(t, Config{Transports: []Transport{a}})
	p := dial(t, a, b.Addresses()[0].String())
	var got []byte
	for more := true; more; {
		var part *Message
		var err error
		if part, more, err = e.Part(t.Context(), p, request(GET, "/p"), int64(len(got))); err != nil {
			t.Fatal(err)
		}
		got = append(got, part.Payload...)
	}
	if !bytes.Equal(got, whole) {
		t.Errorf("got %d bytes", len(got))
	}
	if part, more, err := e.Part(t.Context(), p, request(GET, "/p"), 512); err != nil || more != true || !bytes.Equal(part.Payload, whole[512:1024]) {
		t.Errorf("from the middle: %v, more %v, error %v", part, more, err)
	}
	if part, _, err := e.Part(t.Context(), p, request(GET, "/gone"), 0); err != nil || part.Code != NotFound {
		t.Errorf("what is not there: %v, error %v", part, err)
	}
	if _, _, err := e.Part(t.Context(), p, request(GET, "/p"), 7); !errors.Is(err, errBlocks) {
		t.Errorf("where no block begins: %v", err)
	}
}

func TestDoFromLeavesOutWhatThePeerHas(t *testing.T) {
	for _, code := range []Code{Changed, EntityIncomplete} {
		lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
			m := request(PUT, "/9/0/2")
			m.Payload = sample(3000)
			done := make(chan result, 1)
			go func() {
				answer, err := e.DoFrom(context.Background(), device(1), m, 2048)
				done <- result{answer: answer, err: err}
			}()
			q := w.one(t)
			if blockText(&q.Message, Block1) != "2/0/1024" || !bytes.Equal(q.Payload, m.Payload[2048:]) {
				t.Errorf("begins with %s", blockText(&q.Message, Block1))
			}
			w.say(device(1), q.answer(code, ""))
			if r := <-done; r.err != nil || r.answer.Code != code {
				t.Errorf("got %v, error %v", r.answer, r.err)
			}
		})
	}
	lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
		for _, from := range []int64{-1024, 5, 4096} {
			m := request(PUT, "/9/0/2")
			m.Payload = sample(3000)
			if _, err := e.DoFrom(t.Context(), device(1), m, from); !errors.Is(err, errBlocks) {
				t.Errorf("from %d: %v", from, err)
			}
		}
		w.none(t)
	})
}
