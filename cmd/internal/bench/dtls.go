package main

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
)

const associations = 2000

// dtlsServer is a server with associations from devices that are gone, and say nothing more.
type dtlsServer struct {
	*dtls.Transport
	addr   string
	cancel context.CancelFunc
	done   chan error
}

func benchKey([]byte) ([]byte, string, error) { return []byte("sixteen byte key"), "device", nil }

func newDTLSServer(ctx context.Context, idle time.Duration) (*dtlsServer, error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	transport, err := dtls.New(socket, dtls.Config{PSK: benchKey, Idle: idle, MaxPerPrincipal: 10 * associations, MaxPerSource: 1024, HandshakeRate: 1e6})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &dtlsServer{transport, socket.LocalAddr().String(), cancel, make(chan error, 1)}
	go func() { s.done <- transport.Serve(ctx, deaf{}) }()
	return s, nil
}

func (s *dtlsServer) close() {
	s.cancel()
	<-s.done
}

// connect makes n associations, some at a time.
func (s *dtlsServer) connect(ctx context.Context, n int) error {
	turns := make(chan struct{}, n)
	for range n {
		turns <- struct{}{}
	}
	close(turns)
	var group sync.WaitGroup
	failures := make(chan error, 16)
	for range cap(failures) {
		group.Go(func() {
			for range turns {
				if err := connectOnce(ctx, s.addr); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	select {
	case err := <-failures:
		return err
	default:
	}
	for stats := s.Stats(); stats.Active+stats.Asleep < n; stats = s.Stats() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// connectOnce is a device that shakes hands and loses its power.
func connectOnce(ctx context.Context, addr string) error {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	device, err := dtls.New(socket, dtls.Config{
		States: forgetful{}, // what has states does not say goodbye
		Credentials: func(string) (dtls.Credentials, error) {
			return dtls.Credentials{Identity: []byte("i"), Key: []byte("sixteen byte key")}, nil
		},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- device.Serve(ctx, deaf{}) }()
	_, err = device.Dial(ctx, addr)
	cancel()
	<-done
	return err
}

type forgetful struct{}

func (forgetful) Save([]dtls.State) error           { return nil }
func (forgetful) Load(func(dtls.State) error) error { return nil }

type deaf struct{}

func (deaf) Receive(coap.Peer, []byte)            {}
func (deaf) Unreachable(coap.Peer, []byte, error) {}

// memoryInUse returns the bytes of the heap and of stacks that live.
func memoryInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// dtlsMemory measures what an association takes in its server, asleep or not.
func dtlsMemory(asleep bool) func(context.Context) (Measured, error) {
	return func(ctx context.Context) (Measured, error) {
		idle := time.Hour
		if asleep {
			idle = 10 * time.Millisecond
		}
		s, err := newDTLSServer(ctx, idle)
		if err != nil {
			return Measured{}, err
		}
		defer s.close()
		if err := s.connect(ctx, 50); err != nil { // pools and maps have their size
			return Measured{}, err
		}
		before := memoryInUse()
		if err := s.connect(ctx, 50+associations); err != nil {
			return Measured{}, err
		}
		for asleep && s.Stats().Active > 0 {
			time.Sleep(time.Millisecond)
		}
		after := memoryInUse()
		stats := s.Stats()
		grown := stats.Active + stats.Asleep - 50
		if asleep != (stats.Asleep > 0) {
			return Measured{}, fmt.Errorf("%d associations are active and %d asleep", stats.Active, stats.Asleep)
		}
		return Measured{Ours: (after - before) / float64(grown) / 1024, Unit: "KB"}, nil
	}
}

// dtlsHandshake measures the processor time of a full handshake with pre-shared keys, both ends together.
func dtlsHandshake(ctx context.Context) (Measured, error) {
	s, err := newDTLSServer(ctx, time.Hour)
	if err != nil {
		return Measured{}, err
	}
	defer s.close()
	before := cpuTime()
	if err := s.connect(ctx, associations); err != nil {
		return Measured{}, err
	}
	return nanoseconds((cpuTime()-before)/associations, 0), nil
}
