package device

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/proxy"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/sdf/oma"
	"github.com/edgehold/edgehold/wasmabi"
)

// A policy runs at the gateway or on the device as it is: every metric has the name that the proxy agent gives it, and its scale.
func TestMetricsAreThoseOfTheProxy(t *testing.T) {
	known := map[string]proxy.Property{}
	for _, p := range proxy.DefaultProperties() {
		known[p.Metric] = p
	}
	if runner.Mechanism != proxy.Mechanism || metricOnline != proxy.MetricOnline || labelDevice != proxy.LabelDevice || labelInstance != proxy.LabelInstance {
		t.Error("the mechanism, the metric of presence or a label has another name")
	}
	for name, m := range metrics {
		p, ok := known[name]
		if p.Scale == 0 {
			p.Scale = 1
		}
		if !ok || p.Scale != m.scale {
			t.Errorf("%s: scale %v, the proxy has %+v", name, m.scale, p)
		}
		o, ok := model.Core().Latest(m.object)
		if !ok || oma.Name(o.Name) != p.Object {
			t.Errorf("%s is of object %d, the proxy's of %s", name, m.object, p.Object)
			continue
		}
		if r, ok := o.Resource(m.resource); !ok || oma.Name(r.Name) != p.Name {
			t.Errorf("%s is resource %d, the proxy's is %s", name, m.resource, p.Name)
		}
	}
}

func TestReduce(t *testing.T) {
	all := []runner.Reading{{Value: 4, Age: 2 * time.Second}, {Value: 1, Age: time.Second}, {Value: 7, Age: 3 * time.Second}}
	for how, want := range map[string]runner.Reading{
		"": {Value: 1, Age: time.Second}, wasmabi.ReduceSum: {Value: 12, Age: 3 * time.Second}, wasmabi.ReduceAvg: {Value: 4, Age: 3 * time.Second},
		wasmabi.ReduceMin: {Value: 1, Age: 3 * time.Second}, wasmabi.ReduceMax: {Value: 7, Age: 3 * time.Second},
	} {
		if got, ok := reduce(how, all); !ok || got != want {
			t.Errorf("%q: got %+v, want %+v", how, got, want)
		}
	}
	if _, ok := reduce("", nil); ok {
		t.Error("nothing is reduced to something")
	}
}

func TestMetric(t *testing.T) {
	d, err := New(t.Context(), Config{Endpoint: "sensor-1", Accounts: []client.Account{{URI: "coap://127.0.0.1:5683", Short: 1, Mode: client.NoSec}}, StateDir: t.TempDir(), Simulate: true, Offer: Offer{Properties: []string{"/4/0/2", "/3303/*/*"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	now := time.Now()
	for _, s := range d.sensors {
		s.Sample(now.Add(-5 * time.Second))
	}
	labels := func(pairs ...string) (all []wasmabi.Label) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, wasmabi.Label{Name: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	for name, test := range map[string]struct {
		request wasmabi.MetricRequest
		want    bool
		age     time.Duration
	}{
		"radio":             {wasmabi.MetricRequest{Name: "device_radio_signal_strength_dbm", Labels: labels("device", "sensor-1")}, true, 0},
		"without a label":   {wasmabi.MetricRequest{Name: "device_radio_signal_strength_dbm"}, true, 0},
		"of an instance":    {wasmabi.MetricRequest{Name: "device_temperature_celsius", Labels: labels("instance", "0")}, true, 5 * time.Second},
		"no such instance":  {wasmabi.MetricRequest{Name: "device_temperature_celsius", Labels: labels("instance", "5")}, false, 0},
		"of another device": {wasmabi.MetricRequest{Name: "device_temperature_celsius", Labels: labels("device", "sensor-2")}, false, 0},
		"another label":     {wasmabi.MetricRequest{Name: "device_temperature_celsius", Labels: labels("room", "1")}, false, 0},
		"not offered":       {wasmabi.MetricRequest{Name: "device_memory_free_bytes"}, false, 0},
		"unknown":           {wasmabi.MetricRequest{Name: "node_load1"}, false, 0},
		"itself":            {wasmabi.MetricRequest{Name: "device_online"}, true, 0},
	} {
		got, ok := d.Metric(&test.request)
		if ok != test.want || got.Age < test.age || got.Age > test.age+time.Since(now)+time.Second { // LwM2M's times are whole seconds
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}
