package coap

import (
	"context"
	"testing"
)

// loop is a Transport in memory that a benchmark plays the device on: what is sent goes to answer.
type loop struct {
	*wire
	answer func(message []byte)
}

func (l loop) Send(_ Peer, message []byte) error {
	l.answer(message)
	return nil
}

// BenchmarkRequest is a request from datagram to datagram: decoding, deduplication, a worker, the Handler, the answer.
func BenchmarkRequest(b *testing.B) {
	l := loop{wire: newWire()}
	done := make(chan struct{}, 1)
	l.answer = func([]byte) { done <- struct{}{} }
	start(b, Config{Transports: []Transport{l}, Limits: Limits{PeerRate: -1, AddressRate: -1}, Handler: HandlerFunc(
		func(_ context.Context, _ Peer, _, response *Message) {
			response.Code = Created
			response.SetLocation("/rd/1")
		})})
	<-l.serving
	m := request(POST, "/rd")
	for _, q := range []string{"ep=urn:dev:device-000001", "lt=300", "lwm2m=1.1", "b=U"} {
		m.AddQuery(q)
	}
	m.Token, m.Payload = TokenOf([]byte("12345678")), make([]byte, 200)
	datagram, err := appendDatagram(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		datagram[2], datagram[3] = byte(n>>8), byte(n)
		l.receiver.Receive(device(n>>16), datagram)
		<-done
	}
}

// BenchmarkDo is a request of ours and its answer.
func BenchmarkDo(b *testing.B) {
	l := &loop{wire: newWire()}
	l.answer = func(sent []byte) {
		reply := make([]byte, 0, 32)
		reply = append(reply, sent[0]&0x0f|0x60, byte(Content))
		reply = append(append(reply, sent[2:12]...), "\xffEdgehold"...)
		l.receiver.Receive(device(1), reply)
	}
	e := start(b, Config{Transports: []Transport{l}, Limits: Limits{PeerRate: -1, AddressRate: -1}})
	<-l.serving
	m := request(GET, "/3/0/0")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Do(context.Background(), device(1), m); err != nil {
			b.Fatal(err)
		}
	}
}
