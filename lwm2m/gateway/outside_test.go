package gateway

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m/store"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// mosquitto runs Debian's broker, which keeps announcements while gateways come and go.
func mosquitto(t *testing.T) (address string) {
	t.Helper()
	if testing.Short() {
		t.Skip("runs mosquitto: not in short mode")
	}
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("EDGEHOLD_SKIP_NOTHING") != "" {
			t.Fatal("mosquitto is missing (Debian: mosquitto)")
		}
		t.Skip("mosquitto is missing (Debian: mosquitto)")
	}
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "mosquitto.conf"), filepath.Join(dir, "mosquitto.sock") // a port could be another's by the time that it is up
	if err := os.WriteFile(file, fmt.Appendf(nil, "user root\nlistener 0 %s\nallow_anonymous true\npersistence false\n", socket), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // another process is polled
		c, err := net.Dial("unix", socket)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	return "unix://" + socket
}

// TestBrokerOutside has a gateway at a broker of its own process: what an earlier gateway left there is taken back when its
// device is gone, and stays when it is not.
func TestBrokerOutside(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir(), address: "127.0.0.1:0", outside: mosquitto(t), log: newBenchLog(t)}
	b.start()
	heard := b.watch()
	d := b.newDevice("sensor-1")
	gone := b.newDevice("sensor-2")
	first := await(t, "the announcement", heard.come, func(a *mqtt.Announcement) bool { return a.Thing == "sensor-1" && a.MemoryKiB.Total > 0 })
	await(t, "the other announcement", b.watch().come, func(a *mqtt.Announcement) bool { return a.Thing == "sensor-2" })
	if v := b.property("sensor-1/Temperature/0/Property/Sensor_Value"); v != 20.5 {
		t.Errorf("the temperature is %v", v)
	}
	b.must(mqtt.Announce(t.Context(), b.bus("another gateway"), &mqtt.Announcement{Thing: "other-1", Epoch: 1, Time: time.Unix(1, 0)}))
	gone.running.stop()
	b.must(b.store.Flush())
	_, err := b.store.Delete(store.Registration, "sensor-2") // as if its lifetime had ended while no gateway was there
	b.must(err)
	b.stop()

	listener, err := mqtt.Dial(t.Context(), mqtt.DialConfig{Address: b.outside})
	b.must(err)
	defer listener.Close()
	b.client, err = mqtt.NewClient(t.Context(), listener, mqtt.ClientConfig{})
	b.must(err)
	defer b.client.Close()
	heard = b.watch() // before the next gateway is there, whose farewells nobody keeps
	here := make(chan mqtt.Presence, 8)
	stop, err := b.client.Watch(t.Context(), mqtt.Watcher{Gateway: func(p mqtt.Presence) { here <- p }})
	b.must(err)
	defer stop()
	await(t, "that the gateway is away", here, func(p mqtt.Presence) bool { return !p.Online })
	b.start()
	await(t, "that the gateway is back", here, func(p mqtt.Presence) bool { return p.Online })
	await(t, "the farewell of a device that is gone", heard.gone, func(f *mqtt.Farewell) bool { return f.Thing == "sensor-2" })
	kept := b.watch().come
	second := await(t, "the announcement that stays", kept, func(a *mqtt.Announcement) bool { return a.Thing == "sensor-1" })
	if diff := cmp.Diff(second, first); diff != "" {
		t.Errorf("(-after +before)\n%s", diff)
	}
	await(t, "the announcement of another gateway", b.watch().come, func(a *mqtt.Announcement) bool { return a.Thing == "other-1" })
	if v := b.property("sensor-1/Temperature/0/Property/Sensor_Value"); v != 20.5 {
		t.Errorf("after the restart the temperature is %v", v)
	}
	d.running.stop()
}

// TestNamesThatMeanSomethingToMQTT registers devices under names that would be wildcards or levels of a topic.
func TestNamesThatMeanSomethingToMQTT(t *testing.T) {
	for _, name := range []string{"sensor-/+/#", "sensor-$SYS", "sensor-%2F", "sensor-é ü"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			heard := b.watch()
			b.newDevice(name)
			await(t, "the announcement", heard.come, func(a *mqtt.Announcement) bool { return a.Thing == name })
			topic := mqtt.Topic{Thing: name, Object: "Temperature", Label: mqtt.At(0), Affordance: mqtt.Property, Name: "Sensor_Value"}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r, err := b.client.Do(ctx, mqtt.Request{Topic: topic, Operation: mqtt.Get})
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := r.Objects.Property(topic); v != 20.5 {
				t.Errorf("the temperature is %v", v)
			}
		})
	}
}

// TestRevokedDeviceIsGone takes a registration away, as the daemon does with a credential that is gone.
func TestRevokedDeviceIsGone(t *testing.T) {
	b := newBench(t, nil)
	heard := b.watch()
	b.newDevice("sensor-1")
	await(t, "the announcement", heard.come, func(*mqtt.Announcement) bool { return true })
	b.must(b.server.Remove("sensor-1"))
	f := await(t, "the farewell", heard.gone, func(f *mqtt.Farewell) bool { return f.Thing == "sensor-1" })
	if f.Reason != "removed" {
		t.Errorf("it is gone because it is %s", f.Reason)
	}
}
