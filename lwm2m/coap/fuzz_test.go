package coap

import (
	"bytes"
	"context"
	"testing"
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
		if e.bodies.bytes > 8192+4096 {
			t.Errorf("%d bytes are held", e.bodies.bytes)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sent = w.sent[:0]
	})
}

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
