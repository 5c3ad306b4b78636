package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/device/firmware"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/lwm2m/device/route"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/lwm2m/device/sensor"
	"github.com/edgehold/edgehold/lwm2m/device/software"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/wasmabi"
)

// Device is a device that is ready to run.
type Device struct {
	config   Config
	log      *slog.Logger
	host     *host.Runtime
	client   *client.Client
	runner   *runner.Runner
	packages *software.Manager
	monitor  *software.Monitor
	router   *route.Router
	network  *network
	panel    *knob.Panel
	machine  *machine.Device
	firmware *firmware.Update // nil without a command that applies images
	radio    machine.Radio
	sensors  []*sensor.Object
	folder   *os.File                 // locked; nil where that can't be
	readable map[uint16]client.Object // what policies' metrics are read of

	sampling chan time.Duration // of one element: the interval, when it has changed
	counted  chan struct{}      // of one element: workloads have come or gone, and instances of object 35002 with them
}

// New makes a device of what is configured and of what its state folder holds. It starts nothing.
func New(ctx context.Context, c Config) (*Device, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("make device %s: %w", c.Endpoint, err)
	}
	d := &Device{config: c, log: cmp.Or(c.Logger, slog.New(slog.DiscardHandler)), sampling: make(chan time.Duration, 1), counted: make(chan struct{}, 1)}
	for _, step := range []func(context.Context) error{d.lockFolder, d.makeHost, d.makeKnobs, d.makeSensors, d.makeNetwork, d.makeWorkloads, d.makeClient} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("make device %s: %w", c.Endpoint, err), d.Close())
		}
	}
	return d, nil
}

// lockFolder has the state folder for this process: two with one name would turn each other's packages and registrations around.
func (d *Device) lockFolder(context.Context) (err error) {
	d.folder, err = lock(d.config.StateDir)
	return err
}

// makeHost opens the engine: the interpreter, without the child process and the pools that a node has.
func (d *Device) makeHost(ctx context.Context) (err error) {
	l := d.config.Limits
	d.host, err = host.New(ctx, host.Config{
		Engine: host.Interpreter, InProcess: true, MaxInstances: 1, Logger: d.log,
		Limits: host.Limits{
			Memory: cmp.Or(l.Memory, defaultMemory), Fuel: cmp.Or(l.Fuel, defaultFuel), Deadline: cmp.Or(l.Deadline, defaultDeadline),
			Stack: 64 << 10, HostCalls: 256, LogBytes: 1 << 10, ResponseBytes: 16 << 10,
		},
	})
	return err
}

// txPower is the power of the knob's choices in dBm.
var txPower = map[string]float64{"LOW": -20, "MEDIUM": -8, "HIGH": 4}

func (d *Device) makeKnobs(context.Context) (err error) {
	d.radio = machine.Wireless{Root: d.config.Root}
	interval := cmp.Or(d.config.SampleInterval, defaultSample)
	knobs := []knob.Knob{{
		Name: "SAMPLE_INTERVAL", Min: 0.1, Max: 3600, Unit: "s", Default: strconv.FormatFloat(interval.Seconds(), 'f', -1, 64), Apply: d.setInterval,
	}}
	if d.config.Simulate {
		radio := &machine.SimulatedRadio{}
		radio.SetDistance(cmp.Or(d.config.Distance, defaultDistance))
		d.radio = radio
		knobs = append([]knob.Knob{{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH", Apply: func(v string) error {
			radio.SetTransmitPower(txPower[v])
			return nil
		}}}, knobs...)
	}
	d.panel, err = knob.NewPanel(knobs...)
	return err
}

// setInterval hands the newest interval to the sampler.
func (d *Device) setInterval(v string) error {
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return err
	}
	select {
	case <-d.sampling:
	default:
	}
	d.sampling <- time.Duration(seconds * float64(time.Second))
	return nil
}

func (d *Device) makeSensors(context.Context) error {
	for _, object := range []uint16{sensor.Temperature, sensor.Humidity} {
		var found []sensor.Sensor
		if d.config.Root != nil {
			found = sensor.Find(d.config.Root, object)
		}
		if len(found) == 0 && d.config.Simulate {
			found = sensor.Simulated(object, time.Now)
		}
		if len(found) > 0 {
			d.sensors = append(d.sensors, sensor.NewObject(object, found...))
		}
	}
	return nil
}

func (d *Device) makeWorkloads(ctx context.Context) (err error) {
	poster, publisher := d.network.poster(), d.network.publisher
	contexts := filepath.Join(d.config.StateDir, "contexts")
	if err := os.MkdirAll(contexts, 0o700); err != nil {
		return err
	}
	d.runner = runner.New(runner.Config{
		Host: d.host, Device: d.config.Endpoint, Properties: d, Knobs: d.panel, Metric: d.Metric, Contexts: client.Folder(contexts), Logger: d.log,
		Offers: func(_ *wasmabi.Manifest, p lwm2m.Path, knob string) bool { return d.config.Offer.has(p.String(), knob) },
		Emit:   func(o runner.Output) { d.router.Emit(o) },
		Changed: func(id uint16) {
			d.packages.Changed(id)
			d.monitor.Changed(id)
			select {
			case d.counted <- struct{}{}:
			default:
			}
		},
	})
	d.router = route.New(route.Config{Inputs: d.runner, CoAP: poster, MQTT: publisher, Logger: d.log})
	d.network.serve(d.router)
	d.monitor = software.NewMonitor(d.runner)
	d.packages, err = software.Open(software.Config{
		Dir: filepath.Join(d.config.StateDir, "packages"), Trust: parcel.Trust{Keys: d.config.TrustKeys, Device: d.config.Endpoint},
		Workloads: d.runner, Fetcher: d.network, Parameters: d.config.Parameters, MaxPackage: cmp.Or(d.config.Limits.Package, defaultPackage), Logger: d.log,
	})
	return err
}

// deviceType are the words of /3/0/17: what servers and gateways may take for granted.
func (d *Device) deviceType() string {
	words := "edgehold-device wasm tinyml os=" + runtime.GOOS + " arch=" + runtime.GOARCH
	if d.config.Simulate {
		words += " simulated-radio"
	}
	return words
}

func (d *Device) makeClient(context.Context) error {
	folder := filepath.Join(d.config.StateDir, "client")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	store, traffic := client.Folder(folder), &client.Traffic{}
	routes, err := route.NewObject(d.router, store)
	if err != nil {
		d.log.Error("routes are lost", "error", err)
	}
	d.machine = machine.NewDevice(machine.DeviceConfig{
		Identity: machine.Identity{Manufacturer: "Edgehold", Model: "edgehold-device", Software: "0.1.0", Type: d.deviceType()},
		Root:     d.config.Root, Reboot: d.config.Reboot,
	})
	connectivity := machine.NewConnectivity(d.config.Root, d.radio)
	objects := []client.Object{d.machine, connectivity, machine.NewStatistics(traffic), d.packages, d.monitor, knob.NewShell(d.panel), routes}
	d.readable = map[uint16]client.Object{3: d.machine, 4: connectivity, 35002: d.monitor}
	for _, s := range d.sensors {
		if err := s.Keep(store); err != nil {
			d.log.Error("the names of sensors are lost", "error", err)
		}
		objects = append(objects, s)
		d.readable[s.Definition().ID] = s
	}
	if len(d.config.FirmwareCommand) > 0 {
		if d.firmware, err = d.makeFirmware(store); err != nil {
			return err
		}
		objects = append(objects, d.firmware)
	}
	net := d.config.Network
	if net == nil {
		net = &client.Internet{Traffic: traffic, Logger: d.log}
	}
	d.client, err = client.New(client.Config{
		Endpoint: d.config.Endpoint, Objects: objects, Accounts: d.config.Accounts, Network: net, Store: store, Logger: d.log,
		QueueMode: d.config.QueueMode, Stay: d.config.Stay,
	})
	return err
}

func (d *Device) makeFirmware(store client.Store) (*firmware.Update, error) {
	folder := filepath.Join(d.config.StateDir, "firmware")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	hook := &firmware.Hook{Trust: parcel.Trust{Keys: d.config.TrustKeys, Device: d.config.Endpoint}, Command: d.config.FirmwareCommand, Version: d.config.FirmwareVersion}
	return firmware.New(firmware.Config{Dir: folder, Store: store, Updater: hook, Fetcher: d.network, Logger: d.log})
}

// Property is what a workload may read: sensors, and the strength of the radio's signal.
func (d *Device) Property(p lwm2m.Path) (lwm2m.Value, bool) {
	if p == lwm2m.PathOf(4, 0, 2) {
		r, err := d.radio.Reading()
		return lwm2m.Integer(int64(r.SignalDBm)), err == nil
	}
	for _, s := range d.sensors {
		if v, ok := s.Property(p); ok {
			return v, true
		}
	}
	return lwm2m.Value{}, false
}

// Client is the LwM2M side, for what stands with servers.
func (d *Device) Client() *client.Client { return d.client }

// Addresses are where values for routes come in.
func (d *Device) Addresses() []string { return d.network.addresses() }

// Run registers and serves until ctx ends, or one of its parts fails. It is called once; what it started has ended when it returns.
func (d *Device) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	all := map[string]func(context.Context) error{
		"network": d.network.Run, "routes": d.router.Run, "workloads": d.runner.Run, "packages": d.packages.Run, "sensors": d.sample, "instances": d.tell,
	}
	if d.firmware != nil {
		all["firmware"] = d.firmware.Run
	}
	for name, part := range all {
		parts.Go(func() {
			if err := part(ctx); ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	d.packages.Resume(ctx)
	err := d.client.Run(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	parts.Wait()
	if cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// tell has the registration updated when workloads have come or gone. The runner's call can't do it: it may be within one of the client's.
func (d *Device) tell(ctx context.Context) error {
	var known []uint16
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.counted:
		}
		if now := d.runner.Running(nil); !slices.Equal(now, known) {
			known = now
			d.client.ObjectsChanged()
		}
	}
}

// sample looks at the sensors, as often as the knob says.
func (d *Device) sample(ctx context.Context) error {
	interval := cmp.Or(d.config.SampleInterval, defaultSample)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		for _, s := range d.sensors {
			s.Sample(time.Now())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case next := <-d.sampling:
			ticker.Reset(next)
		case <-ticker.C:
		}
	}
}

// Close gives up what New has opened.
func (d *Device) Close() error {
	var errs []error
	if d.panel != nil {
		d.panel.Close()
	}
	if d.machine != nil {
		d.machine.Close()
	}
	if d.network != nil {
		errs = append(errs, d.network.Close())
	}
	if d.host != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		errs = append(errs, d.host.Close(ctx))
	}
	if d.folder != nil {
		errs = append(errs, d.folder.Close())
	}
	return errors.Join(errs...)
}

const closeTime = 5 * time.Second

var _ coap.Handler = (*network)(nil)
