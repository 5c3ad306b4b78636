package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/fleet"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// wholeGateway is the real `edgeholdd gateway`, with all of its parts.
type wholeGateway struct {
	programs string // folder of edgehold and edgeholdd
	dir      string // its state and its socket
	addr     netip.AddrPort
	process  *exec.Cmd
	ready    string // what it logged when it began to serve
}

// buildGateway builds the programs and chooses an address for devices.
func buildGateway(ctx context.Context) (*wholeGateway, error) {
	dir, err := os.MkdirTemp("", "edgehold-whole-")
	if err != nil {
		return nil, err
	}
	w := &wholeGateway{programs: dir, dir: dir}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", dir+"/", "./cmd/edgehold", "./cmd/edgeholdd")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the gateway: %w\n%s", err, text), w.remove())
	}
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, w.remove())
	}
	w.addr = free.LocalAddr().(*net.UDPAddr).AddrPort()
	return w, free.Close()
}

func (w *wholeGateway) remove() error { return os.RemoveAll(w.dir) }

func (w *wholeGateway) bus() string { return "unix://" + filepath.Join(w.dir, "mqtt.sock") }

// start starts the process and waits until it says that it is ready.
func (w *wholeGateway) start(ctx context.Context) error {
	w.process = exec.CommandContext(ctx, filepath.Join(w.programs, "edgeholdd"), "gateway", "--set", "state_directory="+filepath.Join(w.dir, "state"),
		"--set", fmt.Sprintf("lwm2m.udp=[%q]", w.addr), "--set", "lwm2m.dtls=none", "--set", `lwm2m.nosec=["sim-*"]`, "--set", fmt.Sprintf("mqtt.listen=[%q]", w.bus()))
	log, err := w.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := w.process.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if w.ready = lines.Text(); strings.Contains(w.ready, "msg=ready") {
			go func() { _, _ = io.Copy(io.Discard, log) }() // until the process ends
			return nil
		}
	}
	return fmt.Errorf("the gateway has ended: %s", w.ready)
}

// kill ends the process as a crash would.
func (w *wholeGateway) kill() {
	if w.process != nil {
		_ = w.process.Process.Kill()
		_ = w.process.Wait()
	}
}

// resident is what the process takes, for each of the devices.
func (w *wholeGateway) resident() (bytes float64, err error) {
	kib, err := processField(w.process.Process.Pid, "VmRSS")
	return kib * 1024 / fleetSize, err
}

// asking has f ask over MQTT.
func (w *wholeGateway) asking(ctx context.Context, f func(*mqtt.Client) error) error {
	bus, err := mqtt.Dial(ctx, mqtt.DialConfig{Address: w.bus(), Retry: true})
	if err != nil {
		return err
	}
	defer bus.Close()
	client, err := mqtt.NewClient(ctx, bus, mqtt.ClientConfig{})
	if err != nil {
		return err
	}
	defer client.Close()
	return f(client)
}

// value is the topic of a resource that each device of a fleet has.
func value(device string) mqtt.Topic {
	return mqtt.Topic{Thing: device, Object: "Temperature", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Sensor_Value"}
}

// wholeRate is below what a gateway takes in a second unless it is told otherwise: who is beyond that comes back after up to a minute.
const wholeRate = 9_000

// wholeStorm is what the whole process went through with a fleet, as a storm is for its server.
type wholeStorm struct {
	bytes   float64       // for each device with one resource observed over MQTT
	rate    float64       // registrations in a second, which are durable when they are answered
	p99     time.Duration // of a registration
	list    time.Duration // edgehold device list
	restart time.Duration // from the new process's start until a device is read through it
	after   float64       // bytes for each device, when all have updated after that
}

// theWholeStorm goes by once, whichever of its rows are measured.
var theWholeStorm = sync.OnceValues(func() (_ *wholeStorm, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	w, err := buildGateway(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	defer w.kill()
	f, run, stop, err := prepareFleet(ctx, w.addr, fleetSize, wholeRate)
	if err != nil {
		return nil, err
	}
	defer stop()
	s := &wholeStorm{}
	for _, step := range []func(context.Context, *wholeGateway, *fleet.Fleet) error{s.register(run), s.observe, s.names, s.crash} {
		if err := step(ctx, w, f); err != nil {
			return nil, err
		}
	}
	return s, nil
})

func (s *wholeStorm) register(run func()) func(context.Context, *wholeGateway, *fleet.Fleet) error {
	return func(ctx context.Context, _ *wholeGateway, f *fleet.Fleet) error {
		begin := time.Now()
		run()
		if err := await(ctx, "all devices are registered", func() bool { return f.Stats().Registered == fleetSize }); err != nil {
			return err
		}
		s.rate = fleetSize / time.Since(begin).Seconds()
		stats := f.Stats()
		s.p99 = stats.Registration.Quantile(0.99)
		return nil
	}
}

// observe has a resource of every device observed by one client.
func (s *wholeStorm) observe(ctx context.Context, w *wholeGateway, f *fleet.Fleet) error {
	err := w.asking(ctx, func(client *mqtt.Client) error {
		const workers = 256
		failed := make(chan error, workers)
		for first := range workers {
			go func() {
				for i := first; i < fleetSize; i += workers {
					if _, err := client.Do(ctx, mqtt.Request{Topic: value(f.Name(i)), Operation: mqtt.Observe}); err != nil {
						failed <- err
						return
					}
				}
				failed <- nil
			}()
		}
		var err error
		for range workers {
			err = cmp.Or(err, <-failed)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.bytes, err = w.resident()
	return err
}

// names lists all devices by the command line.
func (s *wholeStorm) names(ctx context.Context, w *wholeGateway, f *fleet.Fleet) error {
	begin := time.Now()
	out, err := exec.CommandContext(ctx, filepath.Join(w.programs, "edgehold"), "device", "list", "--broker", w.bus(), "--timeout", "1m", "-o", "name").Output()
	if err != nil {
		return fmt.Errorf("edgehold device list: %w", err)
	}
	s.list = time.Since(begin)
	names := strings.Fields(string(out))
	if len(names) != fleetSize || names[fleetSize-1] != f.Name(fleetSize-1) {
		return fmt.Errorf("edgehold device list tells of %d devices, want %d", len(names), fleetSize)
	}
	return nil
}

// crash kills the gateway and starts it again, and has every device update.
func (s *wholeStorm) crash(ctx context.Context, w *wholeGateway, f *fleet.Fleet) error {
	w.kill()
	begin := time.Now()
	if err := w.start(ctx); err != nil {
		return err
	}
	err := w.asking(ctx, func(client *mqtt.Client) error {
		_, err := client.Do(ctx, mqtt.Request{Topic: value(f.Name(fleetSize / 2)), Operation: mqtt.Get})
		return err
	})
	if err != nil {
		return err
	}
	s.restart = time.Since(begin)
	updates := f.Stats().Updates
	f.Renew(5 * time.Second)
	err = await(ctx, "all devices have updated", func() bool {
		stats := f.Stats()
		return stats.Updates+stats.Unknown >= updates+fleetSize
	})
	if err != nil {
		return err
	}
	if lost := f.Stats().Unknown; lost > 0 || !strings.Contains(w.ready, fmt.Sprintf("devices=%d", fleetSize)) {
		return fmt.Errorf("after a crash %d devices had to register again: %s", lost, w.ready)
	}
	s.after, err = w.resident()
	return err
}

// await polls, seldom enough not to be counted.
func await(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// ofWhole returns a row's figure.
func ofWhole(figure func(*wholeStorm) float64, unit string) func(context.Context) (Measured, error) {
	return func(context.Context) (Measured, error) {
		s, err := theWholeStorm()
		if err != nil {
			return Measured{}, err
		}
		return Measured{Ours: figure(s), Unit: unit}, nil
	}
}

// throughWhole is the 99th percentile of reads over MQTT through the whole gateway.
func throughWhole(ctx context.Context, devices int) (p99 time.Duration, err error) {
	w, err := buildGateway(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	if err := w.start(ctx); err != nil {
		return 0, err
	}
	defer w.kill()
	f, run, stop, err := prepareFleet(ctx, w.addr, devices, 0)
	if err != nil {
		return 0, err
	}
	defer stop()
	run()
	if err := await(ctx, "all devices are read", func() bool { return f.Stats().Reads >= uint64(devices) }); err != nil {
		return 0, err
	}
	names := make([]string, devices)
	for i := range names {
		names[i] = f.Name(i)
	}
	err = w.asking(ctx, func(client *mqtt.Client) error {
		p99, err = roundTrips(names, func(name string) error {
			_, err := client.Do(ctx, mqtt.Request{Topic: value(name), Operation: mqtt.Get})
			return err
		})
		return err
	})
	return p99, err
}
