package main

import (
	"context"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	pion "github.com/pion/dtls/v3"
	coapdtls "github.com/plgd-dev/go-coap/v3/dtls"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp/client"

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

// len is how many associations there are.
func (s *dtlsServer) len() int {
	stats := s.Stats()
	return stats.Active + stats.Asleep
}

// connect makes n associations with a server, some at a time.
func connect(ctx context.Context, addr string, n int, len func() int) error {
	there := len() + n
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
				if err := connectOnce(ctx, addr); err != nil {
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
	return poll(ctx, func() bool { return len() >= there })
}

// benchDevices counts devices, each of which has an address of its own: go-coap's server does not shake hands with a new
// device that has the port of one before.
var benchDevices atomic.Uint32

// connectOnce is a device that shakes hands and loses its power.
func connectOnce(ctx context.Context, addr string) error {
	n := benchDevices.Add(1)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 2+byte(n>>16), byte(n>>8), byte(n))})
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

// grown measures what each of some more associations takes, in KB; settled says when it may be measured.
func grown(ctx context.Context, addr string, len func() int, settled func() bool) (float64, error) {
	if err := connect(ctx, addr, 50, len); err != nil { // pools and maps have their size
		return 0, err
	}
	before, had := memoryInUse(), len()
	if err := connect(ctx, addr, associations, len); err != nil {
		return 0, err
	}
	err := poll(ctx, settled)
	return (memoryInUse() - before) / float64(len()-had) / 1024, err
}

// dtlsAsleep measures what an association takes in its server that has been quiet.
func dtlsAsleep(ctx context.Context) (Measured, error) {
	s, err := newDTLSServer(ctx, 10*time.Millisecond)
	if err != nil {
		return Measured{}, err
	}
	defer s.close()
	size, err := grown(ctx, s.addr, s.len, func() bool { return s.Stats().Active == 0 })
	return Measured{Ours: size, Unit: "KB"}, err
}

// dtlsActive measures what an association takes in its server that has just begun, and in go-coap's.
func dtlsActive(ctx context.Context) (Measured, error) {
	s, err := newDTLSServer(ctx, time.Hour)
	if err != nil {
		return Measured{}, err
	}
	defer s.close()
	always := func() bool { return true }
	ours, err := grown(ctx, s.addr, s.len, always)
	if err != nil {
		return Measured{}, err
	}
	addr, len, stop, err := goCoapDTLS()
	if err != nil {
		return Measured{}, err
	}
	defer stop()
	theirs, err := grown(ctx, addr, len, always)
	return Measured{Ours: ours, Theirs: theirs, Unit: "KB"}, err
}

// goCoapDTLS serves with go-coap's server.
func goCoapDTLS() (addr string, len func() int, stop func(), err error) {
	var n atomic.Int64
	listener, err := coapnet.NewDTLSListener("udp4", "127.0.0.1:0", coapnet.NewDTLSServerOptions(
		pion.WithPSK(func(id []byte) ([]byte, error) {
			key, _, err := benchKey(id)
			return key, err
		}),
		pion.WithCipherSuites(pion.TLS_PSK_WITH_AES_128_GCM_SHA256),
		pion.WithConnectionIDGenerator(pion.RandomCIDGenerator(8)),
	))
	if err != nil {
		return "", nil, nil, err
	}
	s := coapdtls.NewServer(options.WithOnNewConn(func(*client.Conn) { n.Add(1) }),
		options.WithInactivityMonitor(time.Hour, func(*client.Conn) {}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(listener)
	}()
	return listener.Addr().String(), func() int { return int(n.Load()) }, func() {
		s.Stop()
		<-done
		_ = listener.Close()
	}, nil
}

// dtlsHandshake measures the processor time of a full handshake with pre-shared keys, both ends together.
func dtlsHandshake(ctx context.Context) (Measured, error) {
	s, err := newDTLSServer(ctx, time.Hour)
	if err != nil {
		return Measured{}, err
	}
	defer s.close()
	before := cpuTime()
	if err := connect(ctx, s.addr, associations, s.len); err != nil {
		return Measured{}, err
	}
	return nanoseconds((cpuTime()-before)/associations, 0), nil
}
