package coap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func sample(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func (m *Message) with(id OptionID, v uint32) *Message {
	m.SetUint(id, v)
	return m
}

// blockText is a block option as RFC 7959 writes it: number/more/size.
func blockText(m *Message, id OptionID) string {
	b, has, _ := m.blockOf(id)
	if !has {
		return ""
	}
	more := 0
	if b.more {
		more = 1
	}
	return fmt.Sprintf("%d/%d/%d", b.number, more, b.size())
}

func TestBodiesGoOutInBlocks(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int
		answers []func(q sighted) *Message
		blocks  string
		code    Code
		err     error
	}{
		{"as we like", 2500, []func(q sighted) *Message{continued(6), continued(6), last}, "0/1/1024 1/1/1024 2/0/1024", Changed, nil},
		{"as the peer likes", 1100, []func(q sighted) *Message{continued(5), last}, "0/1/1024 2/0/512", Changed, nil},
		{"smaller after a refusal", 1100, []func(q sighted) *Message{
			func(q sighted) *Message {
				return q.answer(EntityTooLarge, "").with(Block1, block{more: true, exponent: 5}.value())
			},
			continued(5), continued(5), last,
		}, "0/1/1024 0/1/512 1/1/512 2/0/512", Changed, nil},
		{"refused", 2500, []func(q sighted) *Message{func(q sighted) *Message { return q.answer(EntityTooLarge, "no") }}, "0/1/1024", EntityTooLarge, nil},
		{"begun again once", 1500, []func(q sighted) *Message{continued(6), incomplete, continued(6), incomplete}, "0/1/1024 1/0/1024 0/1/1024 1/0/1024", EntityIncomplete, nil},
		{"reset in the middle", 1500, []func(q sighted) *Message{continued(6), func(q sighted) *Message { return &Message{Type: Reset, ID: q.ID} }}, "0/1/1024 1/0/1024", 0, ErrReset},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []Code{POST, PUT, FETCH, PATCH, IPATCH} {
				lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
					m := request(method, "/9/0/2")
					m.Payload = sample(c.size)
					done := ask(e, device(1), m)
					var got []byte
					var blocks []string
					for i, answer := range c.answers {
						q := w.one(t)
						blocks = append(blocks, blockText(&q.Message, Block1))
						b, _, _ := q.blockOf(Block1)
						got = append(got[:b.offset()], q.Payload...)
						if size, ok := q.Uint(Size1); q.Code != method || q.Path() != "/9/0/2" || (b.number == 0) != ok || ok && int(size) != c.size {
							t.Errorf("block %d: %v, size %d", i, &q.Message, size)
						}
						w.say(device(1), answer(q))
					}
					r := <-done
					if !errors.Is(r.err, c.err) || c.err == nil && r.answer.Code != c.code {
						t.Errorf("got %v, error %v", r.answer, r.err)
					}
					if text := strings.Join(blocks, " "); text != c.blocks {
						t.Errorf("blocks %s, not %s", text, c.blocks)
					}
					if c.code == Changed && !bytes.Equal(got, m.Payload) {
						t.Error("the body is another one")
					}
				})
			}
		})
	}
}

func continued(exponent uint8) func(q sighted) *Message {
	return func(q sighted) *Message {
		b, _, _ := q.blockOf(Block1)
		b.exponent = exponent
		return q.answer(Continue, "").with(Block1, b.value())
	}
}

func last(q sighted) *Message {
	b, _, _ := q.blockOf(Block1)
	return q.answer(Changed, "").with(Block1, b.value())
}

func incomplete(q sighted) *Message { return q.answer(EntityIncomplete, "") }

func TestAnswersComeInBlocks(t *testing.T) {
	whole := sample(1300)
	give := func(q sighted, tag string, b block) *Message {
		m := q.answer(Content, string(whole[b.offset():min(b.offset()+int64(b.size()), int64(len(whole)))]))
		m.SetUint(Block2, b.value())
		if tag != "" {
			m.AddString(ETag, tag)
		}
		return m
	}
	for _, c := range []struct {
		name    string
		answers []func(q sighted) *Message
		asked   string
		err     error
	}{
		{"whole", []func(q sighted) *Message{
			func(q sighted) *Message { return give(q, "", block{number: 0, more: true, exponent: 6}) },
			func(q sighted) *Message { return give(q, "", block{number: 1, exponent: 6}) },
		}, " 1/0/1024", nil},
		{"smaller than asked", []func(q sighted) *Message{
			func(q sighted) *Message { return give(q, "a", block{number: 0, more: true, exponent: 6}) },
			func(q sighted) *Message { return give(q, "a", block{number: 4, more: true, exponent: 4}) },
			func(q sighted) *Message { return give(q, "a", block{number: 5, exponent: 4}) },
		}, " 1/0/1024 5/0/256", nil},
		{"changed meanwhile", []func(q sighted) *Message{
			func(q sighted) *Message { return give(q, "a", block{number: 0, more: true, exponent: 6}) },
			func(q sighted) *Message { return give(q, "b", block{number: 1, exponent: 6}) },
			func(q sighted) *Message { return give(q, "b", block{number: 0, more: true, exponent: 6}) },
			func(q sighted) *Message { return give(q, "b", block{number: 1, exponent: 6}) },
		}, " 1/0/1024  1/0/1024", nil},
		{"another block", []func(q sighted) *Message{
			func(q sighted) *Message { return give(q, "", block{number: 0, more: true, exponent: 6}) },
			func(q sighted) *Message { return give(q, "", block{number: 0, more: true, exponent: 6}) },
		}, " 1/0/1024", errBlocks},
		{"a block that is too short", []func(q sighted) *Message{
			func(q sighted) *Message {
				return q.answer(Content, "short").with(Block2, block{more: true, exponent: 6}.value())
			},
		}, "", errBlocks},
		{"too large by its own word", []func(q sighted) *Message{
			func(q sighted) *Message {
				return give(q, "", block{more: true, exponent: 6}).with(Size2, 1<<30)
			},
		}, "", ErrTooLarge},
		{"an error in the middle", []func(q sighted) *Message{
			func(q sighted) *Message { return give(q, "", block{more: true, exponent: 6}) },
			func(q sighted) *Message { return q.answer(NotFound, "") },
		}, " 1/0/1024", errBlocks},
		{"one that begins elsewhere", []func(q sighted) *Message{
			func(q sighted) *Message { return give(q, "", block{number: 1, exponent: 6}) },
		}, "", errBlocks},
	} {
		t.Run(c.name, func(t *testing.T) {
			lockstep(t, Config{}, func(t *testing.T, w *wire, e *Endpoint) {
				done := ask(e, device(1), request(GET, "/1").with(Observe, 0))
				var asked []string
				for i, answer := range c.answers {
					q := w.one(t)
					asked = append(asked, blockText(&q.Message, Block2))
					if _, has := q.Uint(Observe); has != (blockText(&q.Message, Block2) == "") {
						t.Errorf("request %d observes: %v", i, has)
					}
					w.say(device(1), answer(q))
				}
				r := <-done
				if !errors.Is(r.err, c.err) || c.err == nil && !bytes.Equal(r.answer.Payload, whole) {
					t.Errorf("got %v, error %v", r.answer, r.err)
				}
				if text := strings.Join(asked, " "); text != c.asked {
					t.Errorf("asked for %q, not %q", text, c.asked)
				}
			})
		})
	}
}

func TestEndlessAnswersAreGivenUp(t *testing.T) {
	lockstep(t, Config{Limits: Limits{Body: 8000}}, func(t *testing.T, w *wire, e *Endpoint) {
		done := ask(e, device(1), request(GET, "/1"))
		for n := 0; ; n++ {
			select {
			case r := <-done:
				if !errors.Is(r.err, ErrTooLarge) || n > 10 {
					t.Errorf("after %d blocks: %v", n, r.err)
				}
				return
			default:
			}
			for _, q := range w.take() {
				w.say(device(1), q.answer(Content, string(sample(1024))).with(Block2, block{number: uint32(n), more: true, exponent: 6}.value()))
			}
		}
	})
}

// feed sends a body to the endpoint in blocks and returns the last answer.
func feed(t *testing.T, w *wire, p Peer, m *Message, whole []byte, exponent uint8) sighted {
	t.Helper()
	for b := (block{exponent: exponent}); ; b.number++ {
		end := min(b.offset()+int64(b.size()), int64(len(whole)))
		b.more = end < int64(len(whole))
		part := m.part(b, whole[b.offset():end], false)
		part.ID = uint16(b.number) + 100
		w.say(p, part)
		got := w.one(t)
		if !b.more || got.Code != Continue {
			return got
		}
		if blockText(&got.Message, Block1) != blockText(part, Block1) {
			t.Errorf("block %s is answered %s", blockText(part, Block1), blockText(&got.Message, Block1))
		}
	}
}

func TestBodiesArePutTogether(t *testing.T) {
	whole := sample(3000)
	taken := 0
	config := Config{Limits: Limits{Amplification: -1, PeerRate: -1}, Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
		taken++
		response.Code = Changed
		if !bytes.Equal(request.Payload, whole) {
			response.Code = Conflict
		}
	})}
	for _, method := range []Code{POST, PUT, FETCH, PATCH, IPATCH} {
		for exponent := range uint8(7) {
			lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
				if got := feed(t, w, device(1), request(method, "/5"), whole, exponent); got.Code != Changed {
					t.Errorf("%s in blocks of %d: %v", method, 16<<exponent, &got.Message)
				}
				if n := len(e.bodies.index); n != 0 || e.bodies.bytes != 0 || len(e.bodies.held) != 0 {
					t.Errorf("%d bodies are left", n)
				}
			})
		}
	}
	if taken != 35 {
		t.Errorf("handled %d times, not 35", taken)
	}
}

func TestBodiesThatAreRefused(t *testing.T) {
	config := Config{Handler: echo, Limits: Limits{Body: 4096, Assembly: 4096, Amplification: -1, PeerRate: -1}}
	part := func(number uint32, more bool, n int) *Message {
		m := request(PUT, "/5").with(Block1, block{number: number, more: more, exponent: 6}.value())
		m.ID = uint16(number) + 1
		m.Payload = sample(n)
		return m
	}
	for _, c := range []struct {
		name string
		play func(w *wire) []*Message
		code Code
	}{
		{"a block of nothing begun", func(*wire) []*Message { return []*Message{part(1, true, 1024)} }, EntityIncomplete},
		{"a gap", func(*wire) []*Message { return []*Message{part(0, true, 1024), part(2, false, 10)} }, EntityIncomplete},
		{"too short a block", func(*wire) []*Message { return []*Message{part(0, true, 1000)} }, BadRequest},
		{"an empty block that others follow", func(*wire) []*Message { return []*Message{part(0, true, 0)} }, BadRequest},
		{"too large a body", func(*wire) []*Message {
			return []*Message{part(0, true, 1024), part(1, true, 1024), part(2, true, 1024), part(3, true, 1024), part(4, false, 1)}
		}, EntityTooLarge},
		{"too large by its own word", func(*wire) []*Message { return []*Message{part(0, true, 1024).with(Size1, 4097)} }, EntityTooLarge},
		{"a block sent again as a new message", func(*wire) []*Message {
			again := part(0, true, 1024)
			again.ID = 77
			return []*Message{part(0, true, 1024), part(1, true, 1024), again}
		}, Continue},
		{"one that came too late", func(w *wire) []*Message {
			w.say(device(1), part(0, true, 1024))
			time.Sleep(93 * time.Second)
			w.take()
			return []*Message{part(1, false, 10)}
		}, EntityIncomplete},
		{"another Request-Tag", func(*wire) []*Message {
			tagged := part(1, false, 10)
			tagged.AddString(RequestTag, "b")
			return []*Message{part(0, true, 1024), tagged}
		}, EntityIncomplete},
		{"more bodies than there is room for", func(w *wire) []*Message {
			for n := range 4 {
				w.say(device(10+n), part(0, true, 1024))
			}
			w.take()
			return []*Message{part(0, true, 1024)}
		}, ServiceUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
				var got sighted
				for _, m := range c.play(w) {
					w.say(device(1), m)
					got = w.one(t)
				}
				if got.Code != c.code {
					t.Errorf("got %v, not %s", &got.Message, c.code)
				}
				if size, ok := got.Uint(Size1); ok != (c.code == EntityTooLarge) || ok && size != 4096 {
					t.Errorf("Size1 is %d", size)
				}
				if e.bodies.bytes > 4096 {
					t.Errorf("%d bytes are held", e.bodies.bytes)
				}
			})
		})
	}
}

func TestVerifiedPeersNeedNotWaitForForgedBodies(t *testing.T) {
	lockstep(t, Config{Handler: echo, Limits: Limits{AssemblyPeers: 10, PeerRate: -1, AddressRate: -1}}, func(t *testing.T, w *wire, e *Endpoint) {
		begin := request(PUT, "/5").with(Block1, block{more: true, exponent: 6}.value())
		begin.Payload = sample(1024)
		var last sighted
		for n := range 20 {
			w.say(device(100+n), begin)
			last = w.one(t)
		}
		if last.Code != ServiceUnavailable {
			t.Errorf("there is room for all: %v", &last.Message)
		}
		done := ask(e, device(1), request(GET, "/"))
		q := w.one(t)
		w.say(device(1), q.answerTo())
		<-done
		if got := feed(t, w, device(1), request(PUT, "/5"), sample(3000), 6); got.Code != Content {
			t.Errorf("got %v", &got.Message)
		}
		if n := len(e.bodies.index); n != 9 {
			t.Errorf("%d bodies are left, not those of 9 others", n)
		}
	})
}

// sink takes a body and says what it has if it is asked to go on elsewhere.
type sink struct {
	HandlerFunc
	has   []byte
	whole bool
	limit int
}

func (s *sink) Sink(_ Peer, request *Message) Sink {
	if request.Path() == "/9/0/2" {
		return s
	}
	return nil
}

func (s *sink) Block(_ context.Context, _ Peer, offset int64, more bool, request, response *Message) {
	switch {
	case offset > int64(len(s.has)):
		response.Code = EntityIncomplete
	case offset+int64(len(request.Payload)) > int64(s.limit):
		response.Code = EntityTooLarge
	default:
		s.has, s.whole = append(s.has[:offset], request.Payload...), !more
	}
}

func TestSinksTakeBodiesBlockByBlock(t *testing.T) {
	whole := sample(100_000)
	s := &sink{HandlerFunc: echo, limit: len(whole)}
	lockstep(t, Config{Handler: s, Limits: Limits{Body: 100, PeerRate: -1}}, func(t *testing.T, w *wire, e *Endpoint) {
		if got := feed(t, w, device(1), request(PUT, "/9/0/2"), whole[:51200], 6); got.Code != Changed {
			t.Fatalf("got %v", &got.Message)
		}
		ahead := request(PUT, "/9/0/2").with(Block1, block{number: 60, more: true, exponent: 6}.value())
		ahead.Payload = whole[:1024]
		w.say(device(1), ahead)
		if got := w.one(t); got.Code != EntityIncomplete {
			t.Errorf("beyond what it has: %v", &got.Message)
		}
		// It goes on where it was, with another block size, from another address.
		for offset := 51200; offset < len(whole); offset += 512 {
			m := request(PUT, "/9/0/2")
			m.ID = uint16(offset / 512)
			m.Payload = whole[offset:min(offset+512, len(whole))]
			m.SetUint(Block1, block{number: uint32(offset / 512), more: offset+512 < len(whole), exponent: 5}.value())
			w.say(device(2), m)
			if got := w.one(t); got.Code != Continue && offset+512 < len(whole) {
				t.Fatalf("at %d: %v", offset, &got.Message)
			}
		}
		if !s.whole || !bytes.Equal(s.has, whole) {
			t.Errorf("it has %d bytes, whole: %v", len(s.has), s.whole)
		}
		if len(e.bodies.index) != 0 {
			t.Error("the endpoint keeps what the sink has")
		}
		small := request(POST, "/1")
		small.ID, small.Payload = 9999, []byte("x")
		w.say(device(1), small)
		if got := w.one(t); got.Code != Content {
			t.Errorf("what no sink takes: %v", &got.Message)
		}
	})
}

func TestLargeAnswersGoOutInBlocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		keeps bool // the answer is there when later blocks are asked for
	}{{"kept", true}, {"forgotten", false}} {
		for _, method := range []Code{GET, FETCH, POST} {
			t.Run(c.name+" "+method.String(), func(t *testing.T) {
				whole, calls := sample(2000), 0
				config := Config{Limits: Limits{Amplification: -1}, Handler: HandlerFunc(func(_ context.Context, _ Peer, _, response *Message) {
					calls++
					response.Code, response.Payload = Content, whole
				})}
				lockstep(t, config, func(t *testing.T, w *wire, e *Endpoint) {
					var got, tag []byte
					for number := uint32(0); len(got) < len(whole); number++ {
						q := request(method, "/1")
						q.ID = uint16(number) + 1
						if number > 0 {
							q.SetUint(Block2, block{number: number, exponent: 5}.value())
							if !c.keeps {
								time.Sleep(94 * time.Second)
							}
						} else {
							q.SetUint(Block2, block{exponent: 5}.value())
						}
						w.say(device(1), q)
						a := w.one(t)
						if a.Code == EntityIncomplete && method == POST && !c.keeps {
							return
						}
						if size, ok := a.Uint(Size2); ok != (number == 0) || ok && size != 2000 {
							t.Errorf("Size2 of block %d: %d, %v", number, size, ok)
						}
						etag, _ := a.Opaque(ETag)
						if b, _, _ := a.blockOf(Block2); b.offset() != int64(len(got)) || number > 0 && !bytes.Equal(tag, etag) || len(etag) == 0 {
							t.Fatalf("block %d: %v %s, tag %x", number, &a.Message, blockText(&a.Message, Block2), etag)
						}
						got, tag = append(got, a.Payload...), etag
					}
					if !bytes.Equal(got, whole) {
						t.Error("the blocks make another answer")
					}
					if (calls == 1) != c.keeps {
						t.Errorf("handled %d times", calls)
					}
					q := request(method, "/1").with(Block2, block{number: 9, exponent: 5}.value())
					q.ID = 99
					w.say(device(1), q)
					if a := w.one(t); a.Code != BadRequest && a.Code != EntityIncomplete {
						t.Errorf("beyond the end: %v", &a.Message)
					}
				})
			})
		}
	}
}
