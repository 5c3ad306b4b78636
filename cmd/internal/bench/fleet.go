package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/fleet"
)

const fleetSize = 100_000

// storm is what a gateway went through with a fleet: all register at once, each is read, each is observed, and then the
// gateway is killed and started again.
type storm struct {
	bytes    float64       // of the gateway, for each device with one observed resource
	rate     float64       // durable registrations in a second
	p99      time.Duration // of a registration
	cpu      time.Duration // of the gateway, for a registration and a first read
	restart  time.Duration // from the new process's start until it serves
	lost     int           // devices that it had forgotten, and that had to register again
	observed int
}

// theStorm goes by once, whichever of its rows are measured.
var theStorm = sync.OnceValues(func() (*storm, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "edgehold-storm-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	g, err := startGateway(ctx, dir, "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { g.kill() }()
	f, run, stop, err := prepareFleet(ctx, g.addr, fleetSize, 0)
	if err != nil {
		return nil, err
	}
	defer stop()
	s := &storm{}
	if err := s.register(ctx, g, f, run); err != nil {
		return nil, err
	}
	again, err := s.crash(ctx, g, f, dir)
	if again != nil {
		g = again
	}
	return s, err
})

// prepareFleet makes a fleet that begins when run is called, as fast as the gateway takes it or so many devices in a second.
func prepareFleet(ctx context.Context, target netip.AddrPort, devices int, rate float64) (f *fleet.Fleet, run, stop func(), err error) {
	f, err = fleet.New(fleet.Config{Devices: devices, Target: target, Rate: rate, Lifetime: 24 * time.Hour, Notify: time.Hour})
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	run = sync.OnceFunc(func() {
		go func() {
			defer close(done)
			_ = f.Run(ctx)
		}()
	})
	return f, run, func() { run(); cancel(); <-done }, nil
}

// register measures the storm itself, and what the devices take when it is over.
func (s *storm) register(ctx context.Context, g *gatewayProcess, f *fleet.Fleet, run func()) error {
	before, cpu, err := g.usage()
	if err != nil {
		return err
	}
	begin := time.Now()
	run()
	if err := poll(ctx, func() bool { return f.Stats().Registered == fleetSize }); err != nil {
		return err
	}
	var n int
	if err := g.ask("flush", &n); err != nil {
		return err
	}
	s.rate = fleetSize / time.Since(begin).Seconds()
	stats := f.Stats()
	s.p99 = stats.Registration.Quantile(0.99)
	if err := poll(ctx, func() bool { return f.Stats().Reads >= fleetSize }); err != nil {
		return err
	}
	_, after, err := g.usage()
	if err != nil {
		return err
	}
	s.cpu = (after - cpu) / fleetSize
	if err := g.ask("observe", &s.observed); err != nil {
		return err
	}
	if s.observed != fleetSize {
		return fmt.Errorf("%d devices could be observed, want %d", s.observed, fleetSize)
	}
	bytes, _, err := g.usage()
	s.bytes = float64(bytes-before) / fleetSize
	return err
}

// crash kills the gateway and starts it again, and has every device update.
func (s *storm) crash(ctx context.Context, g *gatewayProcess, f *fleet.Fleet, dir string) (*gatewayProcess, error) {
	var n int
	if err := g.ask("flush", &n); err != nil {
		return nil, err
	}
	g.kill()
	begin := time.Now()
	again, err := startGateway(ctx, dir, g.addr.String())
	if err != nil {
		return nil, err
	}
	s.restart = time.Since(begin)
	updates := f.Stats().Updates
	f.Renew(10 * time.Second)
	err = poll(ctx, func() bool {
		stats := f.Stats()
		return stats.Updates+stats.Unknown >= updates+fleetSize
	})
	s.lost = int(f.Stats().Unknown)
	if s.lost > 0 || again.devices != fleetSize {
		return again, fmt.Errorf("the gateway knew %d devices after a crash, and %d had to register again", again.devices, s.lost)
	}
	return again, err
}

// ofStorm returns a row's figure.
func ofStorm(figure func(*storm) float64, unit string) func(context.Context) (Measured, error) {
	return func(context.Context) (Measured, error) {
		s, err := theStorm()
		if err != nil {
			return Measured{}, err
		}
		return Measured{Ours: figure(s), Unit: unit}, nil
	}
}

// addedByMQTT measures what asking the whole gateway over MQTT adds to the 99th percentile of a read over CoAP, for 1,000 devices and requests of
// one kind at a time.
func addedByMQTT(ctx context.Context) (Measured, error) {
	const devices = 1000
	dir, err := os.MkdirTemp("", "edgehold-mqtt-")
	if err != nil {
		return Measured{}, err
	}
	defer os.RemoveAll(dir)
	g, err := startGateway(ctx, dir, "127.0.0.1:0")
	if err != nil {
		return Measured{}, err
	}
	defer g.kill()
	f, run, stop, err := prepareFleet(ctx, g.addr, devices, 0)
	if err != nil {
		return Measured{}, err
	}
	defer stop()
	run()
	if err := poll(ctx, func() bool { return f.Stats().Reads >= devices }); err != nil {
		return Measured{}, err
	}
	var direct time.Duration
	if err := g.ask("read", &direct); err != nil {
		return Measured{}, err
	}
	through, err := throughWhole(ctx, devices)
	return nanoseconds(max(through-direct, 0), 0), err
}
