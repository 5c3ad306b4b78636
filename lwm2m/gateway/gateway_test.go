package gateway

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// TestDeploymentAsWritten goes through D3.3 §6.3.2: create, load, install, activate, and the reply about what is used.
func TestDeploymentAsWritten(t *testing.T) {
	b := newBench(t, func(c *Config) { c.PackageKeys = []ed25519.PublicKey{public(1)} })
	heard := b.watch()
	d := b.newDevice("sensor-7")
	await(t, "the announcement", heard.come, func(a *mqtt.Announcement) bool { return a.Thing == "sensor-7" && a.MemoryKiB.Total > 0 })

	if r := b.ask(mqtt.Post, "sensor-7/LWM2M_Software_Management", map[string]any{"label": int64(0)}); r.Code != mqtt.Created || r.Data != int64(0) {
		t.Errorf("step 1 answers %v %v", r.Code, r.Data)
	}
	for _, forged := range [][]byte{packed(t, 2), []byte("no package")} {
		r := b.do(mqtt.Post, "sensor-7/LWM2M_Software_Management/0/Property/Package", forged)
		if r.Code != mqtt.Forbidden || r.Error == nil || r.Error.Code != CodePackage {
			t.Errorf("a forged package is answered with %v %+v", r.Code, r.Error)
		}
	}
	b.ask(mqtt.Post, "sensor-7/LWM2M_Software_Management/0/Property/Package", packed(t, 1))
	if state := b.property("sensor-7/LWM2M_Software_Management/0/Property/Update_State"); state != int64(3) {
		t.Errorf("after step 2 the state is %v", state)
	}
	b.ask(mqtt.Post, "sensor-7/LWM2M_Software_Management/0/Action/Install", nil)
	if state := b.property("sensor-7/LWM2M_Software_Management/0/Property/Update_State"); state != int64(4) {
		t.Errorf("after step 3 the state is %v", state)
	}
	b.ask(mqtt.Post, "sensor-7/LWM2M_Software_Management/0/Action/Activate", nil)
	if state := b.property("sensor-7/LWM2M_Software_Management/0/Property/Activation_State"); state != true {
		t.Errorf("after step 4 it is active: %v", state)
	}
	r := b.ask(mqtt.Get, "sensor-7/Software_Package_Monitoring", nil)
	want := mqtt.Objects{"Software_Package_Monitoring": {{Label: 0, Properties: map[string]any{
		"Software_Package": map[string]any{"object": int64(9), "instance": int64(0)}, "CPU_Usage": 12.5, "Memory_Usage": int64(65536), "Uptime": int64(2000), "Error": "",
	}}}}
	if diff := cmp.Diff(r.Objects, want); diff != "" {
		t.Errorf("what is used (-got +want)\n%s", diff)
	}
	if r := b.ask(mqtt.Post, "sensor-7/LWM2M_Software_Management", nil); r.Code != mqtt.Created || r.Data != int64(1) {
		t.Errorf("an instance whose number the device chooses: %v %v", r.Code, r.Data)
	}
	b.ask(mqtt.Delete, "sensor-7/LWM2M_Software_Management/0", nil)
	if len(d.works.Running(nil)) != 0 {
		t.Error("the deleted workload runs")
	}
	if n := b.gateway.Stats().Refused; n != 2 {
		t.Errorf("%d packages are refused", n)
	}
}

func TestReadsAndWrites(t *testing.T) {
	b := newBench(t, nil)
	heard := b.watch()
	b.newDevice("sensor-1")
	a := await(t, "the announcement", heard.come, func(a *mqtt.Announcement) bool { return a.MemoryKiB.Total > 0 })
	if a.MemoryKiB.Total != 262144 || a.MemoryKiB.Free != 131072 || !a.Has("Temperature") || !a.Has("Software_Package_Monitoring") {
		t.Errorf("the announcement is %+v", a)
	}
	if diff := cmp.Diff(a.Labels, map[string]string{LabelTinyML: "true", labelOS: "linux", labelArch: "amd64"}); diff != "" {
		t.Error(diff)
	}

	if v := b.property("sensor-1/Temperature/0/Property/Sensor_Value"); v != 20.5 {
		t.Errorf("the temperature is %v", v)
	}
	if v := b.property("sensor-1/3303/0/Property/5700"); v != 20.5 {
		t.Errorf("by numbers the temperature is %v", v)
	}
	b.ask(mqtt.Post, "sensor-1/Temperature/0/Property/Application_Type", "attic")
	r := b.ask(mqtt.Get, "sensor-1/Temperature/0", nil)
	if diff := cmp.Diff(r.Objects["Temperature"], []mqtt.Instance{{Label: 0, Properties: map[string]any{"Sensor_Value": 20.5, "Application_Type": "attic"}}}); diff != "" {
		t.Errorf("(-got +want)\n%s", diff)
	}
	if r := b.ask(mqtt.Get, "sensor-1", nil); r.Model == nil {
		t.Error("the thing has no model")
	}
	if links, _ := b.ask(mqtt.Discover, "sensor-1/Temperature", nil).Data.(string); !strings.Contains(links, "</3303/0/5700>") {
		t.Errorf("there is %s", links)
	}
	if links, _ := b.ask(mqtt.Discover, "sensor-1/Temperature", map[string]any{"depth": int64(1)}).Data.(string); !strings.Contains(links, "</3303/0>") || strings.Contains(links, "5700") {
		t.Errorf("one level below it there is %s", links)
	}
	if links, _ := b.ask(mqtt.Discover, "sensor-1", nil).Data.(string); !strings.Contains(links, "</3303/0>") {
		t.Errorf("there is %s", links)
	}
	b.ask(mqtt.Observe, "sensor-1/Temperature/0/Property/Sensor_Value", nil)
	b.ask(mqtt.Cancel, "sensor-1/Temperature/0/Property/Sensor_Value", nil)
	if left, err := b.server.Observations("sensor-1"); err != nil || len(left) > 0 {
		t.Errorf("%v, %v is still observed", left, err)
	}
	b.ask(mqtt.Post, "sensor-1/BinaryAppDataContainer/0/Property/Data/0", []byte("mlsysops knobs set TX_PWR LOW"))
	if answer := b.property("sensor-1/BinaryAppDataContainer/0/Property/Data/1"); answer != base64.RawURLEncoding.EncodeToString([]byte("TX_PWR | LOW\n")) {
		t.Errorf("the shell answers %q", answer)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t, nil)
	heard := b.watch()
	b.newDevice("sensor-1")
	await(t, "the announcement", heard.come, func(*mqtt.Announcement) bool { return true })
	for _, row := range []struct {
		operation mqtt.Operation
		topic     string
		data      any
		want      mqtt.Code
	}{
		{mqtt.Get, "sensor-9/Device/0", nil, mqtt.NotFound},
		{mqtt.Get, "sensor-1/Location/0", nil, mqtt.NotFound},
		{mqtt.Get, "sensor-1/Temperature/7", nil, mqtt.NotFound},
		{mqtt.Get, "sensor-1/Temperature/0/Property/Colour", nil, mqtt.NotFound},
		{mqtt.Get, "sensor-1/Device/0/Action/Reboot", nil, mqtt.NotAllowed},
		{mqtt.Post, "sensor-1", nil, mqtt.NotAllowed},
		{mqtt.Put, "sensor-1/Temperature", nil, mqtt.NotAllowed},
		{mqtt.Delete, "sensor-1/Temperature", nil, mqtt.NotAllowed},
		{mqtt.Post, "sensor-1/Temperature/0/Property/Sensor_Value", 1.5, mqtt.NotAllowed},
		{mqtt.Post, "sensor-1/Temperature/0/Property/Sensor_Value", "warm", mqtt.BadRequest},
		{mqtt.Post, "sensor-1/LWM2M_Software_Management", map[string]any{"label": "one"}, mqtt.BadRequest},
		{mqtt.Post, "sensor-1/LWM2M_Software_Management", "x", mqtt.BadRequest},
		{mqtt.Observe, "sensor-1/Temperature/0", "often", mqtt.BadRequest},
		{mqtt.Discover, "sensor-1/Temperature", map[string]any{"depth": int64(4)}, mqtt.BadRequest},
		{mqtt.Discover, "sensor-1/Temperature", "deep", mqtt.BadRequest},
		{mqtt.Observe, "sensor-1/Temperature/0", map[string]any{"colour": int64(1)}, mqtt.BadRequest},
		{mqtt.Observe, "sensor-1/Device/0/Action/Reboot", nil, mqtt.NotAllowed},
	} {
		r := b.do(row.operation, row.topic, row.data)
		if r.Code != row.want || r.Error == nil || r.Error.Code == "" || r.Error.Why == "" {
			t.Errorf("%s %s %v is answered with %v %+v, want %v", row.operation, row.topic, row.data, r.Code, r.Error, row.want)
		}
	}
}

func TestObservationsOutliveTheGateway(t *testing.T) {
	b := newBench(t, nil)
	heard := b.watch()
	d := b.newDevice("sensor-1")
	first := await(t, "the announcement", heard.come, func(a *mqtt.Announcement) bool { return a.MemoryKiB.Total > 0 })
	id := registrationOf(t, b)

	values := b.observe("sensor-1/Temperature/0/Property/Sensor_Value")
	b.must(d.battery.Set(lwm2m.PathOf(sensorObject, 0, 5700), lwm2m.Float(21.5)))
	await(t, "the notification", values, func(v any) bool { return v == 21.5 })

	b.stop()
	b.start()
	if again := registrationOf(t, b); again != id {
		t.Errorf("the device has registered again: %s is now %s", id, again)
	}
	heard = b.watch()
	second := await(t, "the announcement after the restart", heard.come, func(*mqtt.Announcement) bool { return true })
	if diff := cmp.Diff(second, first); diff != "" {
		t.Errorf("the announcement is another one (-after +before)\n%s", diff)
	}
	values = b.listen("sensor-1/Temperature/0/Property/Sensor_Value")
	b.must(d.battery.Set(lwm2m.PathOf(sensorObject, 0, 5700), lwm2m.Float(22.5)))
	await(t, "a notification after the restart", values, func(v any) bool { return v == 22.5 })
}

func registrationOf(t *testing.T, b *bench) string {
	t.Helper()
	r, ok := b.server.Device("sensor-1")
	if !ok {
		t.Fatal("the device is not registered")
	}
	return r.ID
}

// observe hears the values of a property, which it has observed.
func (b *bench) observe(topic string) <-chan any {
	b.t.Helper()
	address, err := mqtt.ParseTopic(topic)
	b.must(err)
	values := make(chan any, 64)
	_, _, err = b.client.Observe(b.t.Context(), address, map[string]any{"pmin": int64(0)}, func(n *mqtt.Notification) { values <- valueIn(n) })
	b.must(err)
	return values
}

// listen hears the values of a property that is observed already.
func (b *bench) listen(topic string) <-chan any {
	b.t.Helper()
	address, err := mqtt.ParseTopic(topic)
	b.must(err)
	values := make(chan any, 64)
	stop, err := b.client.Listen(b.t.Context(), address, func(n *mqtt.Notification) { values <- valueIn(n) })
	b.must(err)
	b.t.Cleanup(stop)
	return values
}

func valueIn(n *mqtt.Notification) any {
	value, _ := n.Objects.Property(n.Topic)
	return value
}

func TestSendBecomesNotifications(t *testing.T) {
	b := newBench(t, nil)
	heard := b.watch()
	d := b.newDevice("sensor-1", func(c *client.Config) { c.Stay = false })
	await(t, "the announcement", heard.come, func(*mqtt.Announcement) bool { return true })
	values := b.listen("sensor-1/Temperature/0/Property/Sensor_Value")
	b.ask(mqtt.Post, "sensor-1/LwM2M_Server/0/Property/Mute_Send", false)
	d.awaitRegistered(t) // the device learns it later than whoever listens
	b.must(d.client.Send(t.Context(), lwm2m.Tree{{Path: lwm2m.PathOf(sensorObject, 0, 5700), Value: lwm2m.Float(31.5), Time: time.Unix(1700000000, 0)}}))
	await(t, "what was sent", values, func(v any) bool { return v == 31.5 })

	d.running.stop() // it de-registers
	f := await(t, "the farewell", heard.gone, func(f *mqtt.Farewell) bool { return f.Thing == "sensor-1" })
	if f.Reason != "deregistered" {
		t.Errorf("it is gone because it is %s", f.Reason)
	}
	if r := b.do(mqtt.Get, "sensor-1/Device/0", nil); r.Code != mqtt.NotFound {
		t.Errorf("who is gone answers %v", r.Code)
	}
}

func TestAsD33ShowsValues(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Strings, c.Embed = true, true })
	heard := b.watch()
	b.newDevice("sensor-1")
	a := await(t, "the announcement", heard.come, func(*mqtt.Announcement) bool { return true })
	var document map[string]any
	if err := json.Unmarshal(a.Model, &document); err != nil || document["sdfThing"] == nil {
		t.Errorf("the announcement has no model: %v", err)
	}
	if v := b.property("sensor-1/Temperature/0/Property/Sensor_Value"); v != "20.5" {
		t.Errorf("the temperature is %v", v)
	}
}

// TestSleepingDevice has a request wait until its device wakes, for as long as its message lasts and no longer.
func TestSleepingDevice(t *testing.T) {
	b := newBench(t, nil)
	heard := b.watch()
	queue := func(c *client.Config) { c.QueueMode = true }
	d := b.newDevice("sensor-1", queue)
	a := await(t, "the announcement", heard.come, func(a *mqtt.Announcement) bool { return a.Thing == "sensor-1" })
	if !a.Sleeps {
		t.Error("the announcement does not say that it sleeps")
	}
	if v := b.property("sensor-1/Temperature/0/Property/Sensor_Value"); v != 20.5 {
		t.Errorf("the temperature is %v", v)
	}
	events := b.server.Subscribe(64)
	defer events.Close()
	d.running.stop() // it says nothing
	address, err := mqtt.ParseTopic("sensor-1/Temperature/0")
	b.must(err)
	answers := make(chan *mqtt.Response, 1)
	b.run("a request", func(context.Context) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		r, err := b.client.Do(ctx, mqtt.Request{Topic: address, Operation: mqtt.Get})
		answers <- r
		return err
	})
	asleep(t, events)
	b.newDevice("sensor-1", queue)
	await(t, "the answer of the device that woke", answers, func(r *mqtt.Response) bool { return r != nil && r.Code == mqtt.Content })
}

// asleep waits until the server has noticed that a device sleeps.
func asleep(t *testing.T, events *server.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		e, err := events.Next(ctx)
		if err != nil {
			t.Fatalf("the device does not fall asleep: %v", err)
		}
		if e.Kind == server.Asleep {
			return
		}
	}
}
