package node

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/agents/proxy"
	shell "github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// field is a gateway with one device, whose radio has the device runtime's shell.
type field struct {
	panel *shell.Panel
	bus   mqtt.Bus

	mu     sync.Mutex
	answer string
	dBm    float64
}

func (*field) Known(thing string) bool { return thing == "sensor-1" }

func (f *field) Do(_ context.Context, r *mqtt.Request) *mqtt.Response {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.Name == "Radio_Signal_Strength":
		return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, f.dBm)}
	case r.Object != "BinaryAppDataContainer":
		return mqtt.Fail(mqtt.NotFound, mqtt.Error{Code: "resource.unknown", Message: "ask", Why: "the device has none"})
	case r.Operation == mqtt.Post:
		f.answer = f.panel.Answer(string(r.Data.([]byte)))
		return &mqtt.Response{Code: mqtt.Changed}
	}
	return &mqtt.Response{Code: mqtt.Content, Objects: mqtt.One(r.Topic, []byte(f.answer))}
}

var strength = mqtt.Topic{Thing: "sensor-1", Object: "Connectivity_Monitoring", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Radio_Signal_Strength"}

// hears has the device tell how well it hears.
func (f *field) hears(t *testing.T, dBm float64) {
	t.Helper()
	f.mu.Lock()
	f.dBm = dBm
	f.mu.Unlock()
	if err := mqtt.Notify(t.Context(), f.bus, &mqtt.Notification{Topic: strength, Objects: mqtt.One(strength, dBm)}); err != nil {
		t.Fatal(err)
	}
}

func (f *field) power() string { v, _ := f.panel.Get("TX_PWR"); return v }

// newField starts broker and gateway, and announces the device.
func newField(t *testing.T) (f *field, address string) {
	t.Helper()
	address = "unix://" + filepath.Join(t.TempDir(), "mqtt.sock")
	b, err := mqtt.NewBroker(mqtt.BrokerConfig{Listeners: []mqtt.Listener{{Address: address}}})
	if err != nil {
		t.Fatal(err)
	}
	panel, err := shell.NewPanel(shell.Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"})
	if err != nil {
		t.Fatal(err)
	}
	f = &field{panel: panel, bus: b.Bus("gateway"), dBm: -70}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = b.Run(ctx) })
	running.Go(func() { _ = mqtt.Serve(ctx, f.bus, f, mqtt.ServeConfig{}) })
	t.Cleanup(func() { cancel(); running.Wait(); panel.Close() })
	a := &mqtt.Announcement{Thing: "sensor-1", Epoch: 1, Objects: []mqtt.Offer{
		{Name: "Connectivity_Monitoring", ID: 4, Labels: []uint16{0}}, {Name: "BinaryAppDataContainer", ID: 19, Labels: []uint16{0}},
	}}
	if err := mqtt.Announce(t.Context(), f.bus, a); err != nil {
		t.Fatal(err)
	}
	return f, address
}

// A policy turns a device's radio down while the device hears well, and up again: from the metric of a device to its knob and back,
// and when the agent ends, the device is as it was.
func TestPolicyForADevice(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	f, address := newField(t)
	r := newRigWith(t, func(c *config.Config) {
		c.Devices.Broker = address
		c.Devices.Interval = config.Duration(time.Second)
	})
	r.await("the knob is there", func() bool {
		k, err := r.supervisor.Options(t.Context(), proxy.Mechanism)
		return err == nil && len(k) == 1 && k[0].Name == "sensor-1/TX_PWR" && k[0].Unavailable == ""
	})
	r.upload("09-radio-power")
	stop := keepHearing(t, f, -40)
	r.await("the radio is turned down", func() bool { return f.power() == "LOW" })
	stop()
	stop = keepHearing(t, f, -90)
	r.await("the radio is turned up", func() bool { return f.power() == "HIGH" })
	stop()
	stop = keepHearing(t, f, -40)
	r.await("the radio is turned down again", func() bool { return f.power() != "HIGH" })
	stop()
	r.stop()
	if got := f.power(); got != "HIGH" {
		t.Errorf("the agent has ended, and the radio is at %s", got)
	}
}

// keepHearing has the device tell the same again and again, as one whose readings hardly change.
func keepHearing(t *testing.T, f *field, dBm float64) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var told sync.WaitGroup
	told.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				f.hears(t, dBm)
			}
		}
	})
	return func() { cancel(); told.Wait() }
}

func TestDevicesAreExamined(t *testing.T) {
	f, address := newField(t)
	r := newRigWith(t, func(c *config.Config) { c.Devices.Broker = address })
	r.await("the device is counted", func() bool {
		report, err := r.Doctor.Examine(t.Context())
		return err == nil && strings.HasPrefix(finding(report, "devices"), "1 devices")
	})
	if got := f.power(); got != "HIGH" {
		t.Errorf("looking turned the radio to %s", got)
	}
}

func finding(report api.DoctorReport, check string) string {
	for _, c := range report.Checks {
		if c.Name == check {
			return c.Detail
		}
	}
	return ""
}

// A broker that is not there hinders nothing: the agent runs, and says what is wrong.
func TestBrokerThatIsNotThere(t *testing.T) {
	r := newRigWith(t, func(c *config.Config) { c.Devices.Broker = "unix://" + filepath.Join(t.TempDir(), "none.sock") })
	report, err := r.Doctor.Examine(t.Context())
	if err != nil || !strings.Contains(finding(report, "devices"), "nobody can ask the devices") {
		t.Errorf("got %q, %v", finding(report, "devices"), err)
	}
}

// The guard opens the devices from the agent's folder, without a secret on its command line.
func TestGuardFindsDevices(t *testing.T) {
	_, address := newField(t)
	r := newRigWith(t, func(c *config.Config) { c.Devices.Broker = address })
	r.await("the knob is kept", func() bool {
		p, err := devicesOf(r.folder(devicesFolder))
		if err != nil {
			t.Fatal(err)
		}
		knobs, err := p.Driver().Knobs(t.Context())
		return err == nil && len(knobs) == 1 && knobs[0].Unavailable != ""
	})
}

// The daemon's proxy and the guard's keep within the time that the supervisor has with a driver.
func TestTimeForDevices(t *testing.T) {
	r := reach{Devices: config.Devices{Broker: "mqtt://127.0.0.1:1"}, Holder: "node-1", Patience: time.Minute}
	c, err := r.proxy("devices")
	if err != nil || c.Driving != 45*time.Second || c.Holder != "node-1" || c.File != filepath.Join("devices", devicesSeen) {
		t.Errorf("got %+v, %v", c, err)
	}
}
