package dtls

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

type sink struct{}

func (sink) Receive(coap.Peer, []byte)            {}
func (sink) Unreachable(coap.Peer, []byte, error) {}

func benchTransport(b *testing.B, config Config) (*Transport, string) {
	b.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	t, err := New(socket, config)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = t.Serve(ctx, sink{}) })
	b.Cleanup(func() { cancel(); group.Wait() })
	return t, socket.LocalAddr().String()
}

// BenchmarkHandshake bounds what a full handshake with a pre-shared key costs, both ends together.
func BenchmarkHandshake(b *testing.B) {
	_, addr := benchTransport(b, Config{PSK: testPSK, MaxPerPrincipal: 1 << 20})
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		device, _ := benchTransport(b, Config{Credentials: as("alice")})
		b.StartTimer()
		if _, err := device.Dial(context.Background(), addr); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecord bounds what a record costs, sealed and opened, for each way of protection.
func BenchmarkRecord(b *testing.B) {
	for _, i := range []int{6, 7, 8} {
		b.Run(fmt.Sprint(suites[i].id), func(b *testing.B) {
			device, server := twoEnds(b, &suites[i], idSize)
			payload, buffer, now := make([]byte, 100), make([]byte, 0, 1500), time.Now()
			b.ReportAllocs()
			for b.Loop() {
				datagram, _, err := device.seal(buffer, typeApplication, payload)
				if err != nil {
					b.Fatal(err)
				}
				r, _, _ := nextRecord(datagram, idSize)
				if _, err := server.open(r, now); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWake bounds what the first record costs an association that slept.
func BenchmarkWake(b *testing.B) {
	device, server := twoEnds(b, &suites[8], idSize)
	payload, buffer, now := make([]byte, 100), make([]byte, 0, 1500), time.Now()
	b.ReportAllocs()
	for b.Loop() {
		datagram, _, _ := device.seal(buffer, typeApplication, payload)
		r, _, _ := nextRecord(datagram, idSize)
		server.sleep()
		if _, err := server.open(r, now); err != nil {
			b.Fatal(err)
		}
	}
}
