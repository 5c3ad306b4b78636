//go:build linux

package daemon

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/port"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/lwm2m/store"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

const (
	gatewayDevices = 20
	gatewayKills   = 4
)

// gatewayHome is a folder that gateways live in, one after the other, at one address.
type gatewayHome struct {
	dir, bin, address string
	gateway           *exec.Cmd
	log               *os.File
}

func newGatewayHome(t *testing.T) *gatewayHome {
	t.Helper()
	if testing.Short() {
		t.Skip("runs gateways and kills them: not in short mode")
	}
	h := &gatewayHome{dir: shortDir(t), bin: daemonProgram(t), address: port.Address(t)}
	var err error
	if h.log, err = os.Create(filepath.Join(h.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.kill()
		h.log.Close()
		if text, err := os.ReadFile(h.log.Name()); err == nil && t.Failed() {
			t.Logf("the gateways said:\n%s", text)
		}
	})
	return h
}

func (h *gatewayHome) socket() string { return filepath.Join(h.dir, "mqtt") }

func (h *gatewayHome) start(t *testing.T) {
	t.Helper()
	h.gateway = exec.Command(h.bin, "gateway", "--set", "state_directory="+filepath.Join(h.dir, "state"), "--set", fmt.Sprintf("lwm2m.udp=[%q]", h.address),
		"--set", "lwm2m.dtls=none", "--set", `lwm2m.nosec=["sensor-*"]`, "--set", fmt.Sprintf("mqtt.listen=[%q]", "unix://"+h.socket()))
	h.gateway.Stderr = h.log
	if err := h.gateway.Start(); err != nil {
		t.Fatal(err)
	}
}

func (h *gatewayHome) kill() {
	if h.gateway != nil {
		_ = h.gateway.Process.Kill()
		_ = h.gateway.Wait()
	}
	h.gateway = nil
}

// sensor is a real device with one value.
type sensor struct {
	name  string
	value *client.Table
}

func (h *gatewayHome) sensors(t *testing.T) (all []*sensor) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	for i := range gatewayDevices {
		s := &sensor{name: fmt.Sprintf("sensor-%02d", i)}
		s.value = client.NewTable(client.Definition{ID: 3303, Multiple: true, Resources: []client.Resource{
			{ID: 5700, Name: "Sensor Value", Kind: lwm2m.KindFloat, Operations: client.Readable, Mandatory: true},
		}}, client.Rules{})
		if err := s.value.Fill(lwm2m.Tree{{Path: lwm2m.PathOf(3303, 0)}, {Path: lwm2m.PathOf(3303, 0, 5700), Value: lwm2m.Float(0.5)}}); err != nil {
			t.Fatal(err)
		}
		device, err := client.New(client.Config{
			Endpoint: s.name, Objects: []client.Object{machine.NewDevice(machine.DeviceConfig{}), s.value}, Stay: true,
			Accounts: []client.Account{{URI: "coap://" + h.address, Short: 1, Mode: client.NoSec, Lifetime: time.Hour}},
			Network:  &client.Internet{Local: "127.0.0.1:0", Reliability: coap.Reliability{AckTimeout: 200 * time.Millisecond}},
		})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = device.Run(ctx) })
		all = append(all, s)
	}
	return all
}

// connect speaks to the gateway that is there now.
func (h *gatewayHome) connect(t *testing.T) *mqtt.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := mqtt.Dial(ctx, mqtt.DialConfig{Address: "unix://" + h.socket(), Retry: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	c, err := mqtt.NewClient(ctx, connection, mqtt.ClientConfig{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// epochs waits until all devices are announced, and returns when each began.
func epochs(t *testing.T, c *mqtt.Client) map[string]uint64 {
	t.Helper()
	announced := make(chan *mqtt.Announcement, 16*gatewayDevices)
	stop, err := c.Watch(t.Context(), mqtt.Watcher{Announced: func(a *mqtt.Announcement) { announced <- a }})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	all := map[string]uint64{}
	timeout := time.After(patience)
	for len(all) < gatewayDevices {
		select {
		case a := <-announced:
			all[a.Thing] = a.Epoch
		case <-timeout:
			t.Fatalf("%d of %d devices are announced: %v", len(all), gatewayDevices, all)
		}
	}
	return all
}

func (s *sensor) topic() mqtt.Topic {
	return mqtt.Topic{Thing: s.name, Object: "Temperature", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Sensor_Value"}
}

// TestKilledGatewayGoesOn kills the gateway while devices notify and requests are under way. Each next one goes on with the same
// registrations and observations; no device notices more than lost packets.
func TestKilledGatewayGoesOn(t *testing.T) {
	h := newGatewayHome(t)
	h.start(t)
	sensors := h.sensors(t)
	c := h.connect(t)
	first := epochs(t, c)
	for _, s := range sensors {
		if _, _, err := c.Observe(t.Context(), s.topic(), map[string]any{"pmin": int64(0)}, func(*mqtt.Notification) {}); err != nil {
			t.Fatal(err)
		}
	}
	h.awaitDurable(t)
	for n := range gatewayKills {
		for _, s := range sensors {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			go func() { // it is killed under these
				defer cancel()
				_, _ = c.Do(ctx, mqtt.Request{Topic: s.topic(), Operation: mqtt.Get})
			}()
		}
		h.kill()
		h.start(t)
		c = h.connect(t)
		if again := epochs(t, c); fmt.Sprint(again) != fmt.Sprint(first) {
			t.Fatalf("after kill %d devices have registered again:\n%v\n%v", n+1, first, again)
		}
		h.checkValues(t, c, sensors, float64(n)+1.25)
	}
}

// awaitDurable waits until every device's registration and observation are in the gateway's log. What it has answered within the
// last 50 ms a kill may take, and a device learns so with its next update.
func (h *gatewayHome) awaitDurable(t *testing.T) {
	t.Helper()
	eventually(t, "all registrations and observations are on the disk", func() bool {
		copied := t.TempDir() // for the gateway has its own open
		if err := os.CopyFS(copied, os.DirFS(filepath.Join(h.dir, "state"))); err != nil {
			t.Fatal(err)
		}
		s, _, err := store.Open(copied, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		return s.Len(store.Registration) == gatewayDevices && s.Len(store.Observation) == gatewayDevices
	})
}

// checkValues has every device change its value, which is to be notified, and reads it.
func (h *gatewayHome) checkValues(t *testing.T, c *mqtt.Client, sensors []*sensor, value float64) {
	t.Helper()
	told := make(chan string, 4*len(sensors))
	for _, s := range sensors {
		stop, err := c.Listen(t.Context(), s.topic(), func(n *mqtt.Notification) {
			if v, _ := n.Objects.Property(n.Topic); v == value {
				told <- n.Topic.Thing
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	for _, s := range sensors {
		if err := s.value.Set(lwm2m.PathOf(3303, 0, 5700), lwm2m.Float(value)); err != nil {
			t.Fatal(err)
		}
	}
	heard := map[string]bool{}
	timeout := time.After(patience)
	for len(heard) < len(sensors) {
		select {
		case name := <-told:
			heard[name] = true
		case <-timeout:
			t.Fatalf("%d of %d devices are heard of", len(heard), len(sensors))
		}
	}
	for _, s := range sensors {
		r, err := c.Do(t.Context(), mqtt.Request{Topic: s.topic(), Operation: mqtt.Get})
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := r.Objects.Property(s.topic()); v != value {
			t.Errorf("%s has %v, not %v", s.name, v, value)
		}
	}
}
