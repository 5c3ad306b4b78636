package coap

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzReceive gives an endpoint two datagrams of one peer: whatever they are, it goes on, and says nothing that is no message.
func FuzzReceive(f *testing.F) {
	for _, seed := range [][2][]byte{
		{{0x40, 0, 0, 1}, {0x70, 0, 0, 1}},
		{{0x44, 1, 0, 1, 1, 2, 3, 4, 0xb1, 'a', 0xff, 'x'}, {0x44, 1, 0, 1, 1, 2, 3, 4, 0xb1, 'a', 0xff, 'x'}},
		{{0x40, 3, 0, 1, 0xd1, 0x0e, 0x08, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {0x40, 3, 0, 2, 0xd1, 0x0e, 0x10, 0xff, 1}},
		{{0x40, 1, 0, 1, 0xd1, 0x0a, 0x06}, {0x40, 1, 0, 2, 0xd1, 0x0a, 0x16}},
		{{0x52, 0x45, 0, 9, 1, 2, 0x61, 5}, {0x42, 0x45, 0, 9, 1, 2, 0x61, 5, 0xff, 1}},
		{{0x40, 1, 0, 1, 0xe4, 0, 0, 1, 2, 3, 4}, {0x40, 1, 0, 1, 0x9f}},
	} {
		f.Add(seed[0], seed[1])
	}
	w := newWire()
	e, err := New(Config{
		Transports: []Transport{w}, Limits: Limits{Amplification: -1, PeerRate: -1, AddressRate: -1, Body: 4096, Assembly: 8192},
		Handler: HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
			response.Code = Content
			response.Payload = bytes.Repeat([]byte{1}, 5*len(request.Payload)+len(request.Path()))
		}),
		Notifications: func(_ context.Context, _ Peer, n *Message) bool { return n.Token.length > 2 },
	})
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	f.Cleanup(func() { cancel(); <-ended })
	<-w.serving
	f.Fuzz(func(t *testing.T, first, second []byte) {
		w.receiver.Receive(device(1), first)
		w.receiver.Receive(device(1), second)
		e.bodies.mu.Lock()
		held := e.bodies.bytes
		e.bodies.mu.Unlock()
		if held > 8192+4096 {
			t.Errorf("%d bytes are held", held)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = w.sent[:0]
	})
}

// FuzzAnswers has a peer answer our requests with whatever it likes, for as long as it likes: each ends, within the bound of a body.
func FuzzAnswers(f *testing.F) {
	f.Add(uint8(GET), uint16(0), []byte{2, 0x0e, 0, 64, 2, 0x1e, 0, 64})
	f.Add(uint8(PUT), uint16(5000), []byte{4, 0x04, 1, 0, 6, 0x12, 1, 0})
	f.Add(uint8(FETCH), uint16(1500), []byte{5, 0, 1, 0, 2, 0x0a, 0, 16, 6, 0, 0, 9})
	f.Add(uint8(POST), uint16(3000), []byte{4, 0x0d, 1, 0, 4, 0x0b, 1, 0, 5, 0, 0, 0})
	f.Fuzz(func(t *testing.T, method uint8, size uint16, script []byte) {
		if len(script) < 4 || len(script) > 400 {
			return
		}
		lockstep(t, Config{Limits: Limits{Body: 4096}, Reliability: Reliability{NStart: 1}}, func(t *testing.T, w *wire, e *Endpoint) {
			request := request(Code(method%7+1), "/1")
			request.Payload = sample(int(size))
			done := ask(e, device(1), request)
			for n := 0; ; n++ {
				select {
				case r := <-done:
					if r.err == nil && len(r.answer.Payload) > 4096+1024 {
						t.Errorf("got %d bytes", len(r.answer.Payload))
					}
					return
				default:
				}
				if n > 5*(4096+int(size))/16+1000 {
					t.Fatalf("it goes on after %d answers", n)
				}
				step := script[4*n%(len(script)&^3):][:4]
				for _, q := range w.take() {
					w.say(device(1), q.reply(step, n))
				}
				time.Sleep(time.Second)
			}
		})
	})
}

// reply is an answer to it: the first byte says of what code and with what, the next two which block, the last how long.
func (s *sighted) reply(step []byte, n int) *Message {
	codes := []Code{Content, Continue, Content, Changed, Continue, EntityIncomplete, Valid, EntityTooLarge}
	a := s.answer(codes[step[0]%8], string(sample(int(step[3])*16)))
	id := []OptionID{Block2, Block1}[step[2]&1]
	b := block{number: uint32(step[1] >> 4), more: step[1]&8 != 0, exponent: step[1] & 7}
	if asked, has, _ := s.blockOf(id); has && step[2]&2 == 0 { // the one that is wanted, as a rule
		b.number = asked.number
		if step[2]&4 == 0 {
			b.exponent = asked.exponent
		}
	}
	a.SetUint(id, b.value())
	if step[0]&0x10 != 0 {
		a.SetUint(ETag, uint32(n)|1)
	}
	if step[0]&0x20 != 0 {
		a.SetUint(Size2, uint32(step[3])<<24)
	}
	if step[0]&0x40 != 0 {
		a.Code = Unauthorized
		a.SetOpaque(Echo, []byte{1})
	}
	if step[0]&0x80 != 0 {
		a.Type = NonConfirmable
		a.ID = uint16(n)
	}
	return a
}

// FuzzTransfers has three peers begin, go on with and break off transfers in any order: what is held stays in its bounds and is counted right,
// each message is answered once, and in the end nothing is left.
func FuzzTransfers(f *testing.F) {
	f.Add([]byte{0x02, 0x0e, 64, 0, 0x02, 0x1e, 64, 0, 0x02, 0x26, 9, 0})
	f.Add([]byte{0x42, 0x0c, 16, 3, 0x42, 0x0c, 16, 3, 0x82, 0x4a, 4, 1, 0x00, 0x12, 0, 2})
	f.Add([]byte{0x04, 0x0a, 4, 0x40, 0x04, 0xfa, 4, 0x80, 0x20, 0x06, 0, 0x13, 0x20, 0x16, 0, 0x13})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1000 {
			return
		}
		limits := Limits{Peers: 16, Body: 3000, Assembly: 8000, AssemblyPeers: 5, Amplification: -1, PeerRate: -1, AddressRate: -1}
		handler := HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
			response.Code, response.Payload = Content, sample(len(request.Payload)+100*len(request.Path()))
		})
		lockstep(t, Config{Limits: limits, Handler: handler}, func(t *testing.T, w *wire, e *Endpoint) {
			for id := uint16(1); len(script) >= 4; id, script = id+1, script[4:] {
				w.say(device(int(script[0]>>6)), part(script, id))
				sent := w.take()
				if len(sent) != 1 || sent[0].ID != id || sent[0].Type != Acknowledgement {
					t.Fatalf("answered by %s", describe(sent))
				}
				checkBodies(t, &e.bodies, limits)
			}
			time.Sleep(e.limits.AssemblyTime)
			w.say(device(9), begin(1))
			w.take()
			if n := len(e.bodies.index); n != 1 {
				t.Errorf("%d bodies are held beside the new one after all", n-1)
			}
		})
	})
}

// part is a request of a transfer: the first byte says by whom and of which method, the second which block, the third how long it is, the
// last what else it says.
func part(script []byte, id uint16) *Message {
	m := request(Code(script[0]&7|1), []string{"/1", "/long/and/longer"}[script[0]>>3&1])
	m.ID = id
	m.Payload = sample(int(script[2]) * 16)
	b := block{number: uint32(script[1] >> 4), more: script[1]&8 != 0, exponent: script[1] & 7}
	m.SetUint([]OptionID{Block1, Block2}[script[0]>>5&1], b.value())
	if script[3]&0x40 != 0 {
		m.SetUint(Size1, uint32(script[3])<<4)
	}
	if script[3]&0x80 != 0 {
		m.SetUint(Size1, 0xffffffff)
	}
	if script[3]&3 != 0 {
		m.SetUint(RequestTag, uint32(script[3]&3))
	}
	return m
}

func begin(id uint16) *Message {
	m := request(PUT, "/begin").with(Block1, block{more: true}.value())
	m.ID, m.Payload = id, sample(16)
	return m
}

// checkBodies counts what is held.
func checkBodies(t *testing.T, b *bodies, limits Limits) {
	t.Helper()
	bytes, held := 0, map[key]int{}
	for k, element := range b.index {
		known := element.Value.(*body)
		bytes += known.reserved
		held[k.key]++
		if known.reserved < len(known.data) || len(known.data) > limits.Body {
			t.Errorf("%d bytes of a body count as %d", len(known.data), known.reserved)
		}
	}
	if bytes != b.bytes || bytes > limits.Assembly || len(b.index) > limits.AssemblyPeers || !maps.Equal(held, b.held) {
		t.Errorf("%d bodies hold %d bytes, counted as %d, of %v, counted as %v", len(b.index), bytes, b.bytes, held, b.held)
	}
	if n := b.order[incoming].Len() + b.order[outgoing].Len(); n != len(b.index) {
		t.Errorf("%d bodies stand in the lists, and %d are known", n, len(b.index))
	}
}

// FuzzConnection sends bytes over a connection, in two parts: it takes whole messages out of them, and ends when it makes no sense of them
// or the peer has gone.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{0x00, 0xe1, 0x00, 0xe2, 0xb1, 0x01, 0xff}, 3)
	f.Add([]byte{0x00, 0xe1, 0xd1, 0x01, 0x45, 9, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}, 5)
	f.Add([]byte{0x10, 0xe1, 0x90, 0x00, 0x01}, 1)
	f.Add([]byte{0x00, 0xe1, 0xf0, 0xff, 0xff, 0xff, 0xff, 1}, 4)
	f.Fuzz(func(t *testing.T, sent []byte, cut int) {
		if cut < 0 || cut > len(sent) {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			tcp := listenTCP(t, TCPConfig{MaxMessage: 2000})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- tcp.Serve(ctx, frames{t}) }()
			synctest.Wait()
			ours, theirs := net.Pipe()
			c := tcp.register(theirs)
			go func() { _, _ = io.Copy(io.Discard, ours) }()
			for _, part := range [][]byte{sent[:cut], sent[cut:]} {
				_, _ = ours.Write(part)
			}
			_ = ours.Close()
			<-c.done
			cancel()
			if err := <-ended; err != nil || len(tcp.open) > 0 {
				t.Errorf("%d connections are left: %v", len(tcp.open), err)
			}
		})
	})
}

// frames takes messages of connections.
type frames struct{ t *testing.T }

func (f frames) Receive(_ Peer, frame []byte) {
	if total, header := frameLength(frame); total != int64(len(frame)) || Code(frame[header-1]).Class() == signalClass && Code(frame[header-1]) != signalPong {
		f.t.Errorf("took %x for a message", frame)
	}
}

func (frames) Unreachable(Peer, []byte, error) {}

// FuzzDecode reads messages in both forms, and writes and reads again what is one.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x44, 1, 0, 1, 1, 2, 3, 4, 0xb1, 'a', 0xff, 'x'}, false)
	f.Add([]byte{0x41, 0x45, 9, 0xc0, 0xff, 1}, true)
	f.Add([]byte{0xd0, 0x00, 0x45, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, true)
	f.Add([]byte{0x40, 1, 0, 1, 0xdd, 0xff, 0xff, 1}, false)
	f.Fuzz(func(t *testing.T, data []byte, reliable bool) {
		l := &link{traits: Traits{Reliable: reliable}}
		var m, again Message
		if l.decode(data, &m) != nil {
			return
		}
		written, err := l.appendMessage(nil, &m)
		if err != nil {
			t.Fatalf("%x is read and cannot be written: %v", data, err)
		}
		if err := l.decode(written, &again); err != nil {
			t.Fatalf("%x is written as %x: %v", data, written, err)
		}
		if again.Code != m.Code || again.Token != m.Token || again.ID != m.ID || again.Type != m.Type || !bytes.Equal(again.Payload, m.Payload) || len(again.Options) != len(m.Options) {
			t.Fatalf("%v becomes %v", &m, &again)
		}
		for i, o := range m.Options {
			if again.Options[i].ID != o.ID || !bytes.Equal(again.Options[i].Value, o.Value) {
				t.Fatalf("option %d becomes %v", i, again.Options[i])
			}
		}
	})
}
