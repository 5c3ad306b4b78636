package device

import (
	"math"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/wasmabi"
)

// metric is a resource as policies know it. The names are those that an agent which stands for devices gives them, so that a policy
// runs there or here as it is.
type metric struct {
	object, resource uint16
	scale            float64 // metric = scale x resource
}

var metrics = map[string]metric{
	"device_radio_signal_strength_dbm": {4, 2, 1},
	"device_link_quality":              {4, 3, 1},
	"device_battery_level_ratio":       {3, 9, 0.01},
	"device_memory_free_bytes":         {3, 10, 1024},
	"device_memory_total_bytes":        {3, 21, 1024},
	"device_workload_cpu_ratio":        {35002, 27211, 0.01},
	"device_workload_memory_bytes":     {35002, 27212, 1},
	"device_workload_uptime_seconds":   {35002, 27213, 0.001},
	"device_temperature_celsius":       {3303, resSensorValue, 1},
	"device_humidity_percent":          {3304, resSensorValue, 1},
}

const (
	metricOnline = "device_online" // to itself a device always is

	resSensorValue = 5700
	resSensorTime  = 5518

	labelDevice   = "device"
	labelInstance = "instance"
)

// Metric reads what a policy's manifest asks for, over the instances that its labels fit.
func (d *Device) Metric(r *wasmabi.MetricRequest) (runner.Reading, bool) {
	instance := -1
	for _, l := range r.Labels {
		n, err := strconv.ParseUint(l.Value, 10, 16)
		switch {
		case l.Name == labelDevice && l.Value == d.config.Endpoint:
		case l.Name == labelInstance && err == nil:
			instance = int(n)
		default:
			return runner.Reading{}, false
		}
	}
	if r.Name == metricOnline {
		return runner.Reading{Value: 1}, instance < 0
	}
	m, known := metrics[r.Name]
	o := d.readable[m.object]
	if !known || o == nil {
		return runner.Reading{}, false
	}
	var all []runner.Reading
	for _, i := range o.Instances(nil) {
		if v, ok := d.reading(o, lwm2m.PathOf(m.object, i, m.resource), m.scale); ok && (instance < 0 || instance == int(i)) {
			all = append(all, v)
		}
	}
	return reduce(r.Reduce, all)
}

func (d *Device) reading(o client.Object, p lwm2m.Path, scale float64) (runner.Reading, bool) {
	if !d.config.Offer.has(p.String(), "") {
		return runner.Reading{}, false
	}
	t, err := o.Read(nil, p)
	if err != nil || len(t) == 0 {
		return runner.Reading{}, false
	}
	v := runner.Reading{Value: t[0].Value.Float() * scale}
	if p.Resource() == resSensorValue {
		v.Age = age(o, lwm2m.PathOf(p.Object(), p.Instance(), resSensorTime))
	}
	return v, !math.IsNaN(v.Value)
}

// age is the time since a sensor was looked at.
func age(o client.Object, timestamp lwm2m.Path) time.Duration {
	t, err := o.Read(nil, timestamp)
	if err != nil || len(t) == 0 {
		return 0
	}
	return max(time.Since(t[0].Value.Time()), 0)
}

// reduce makes one reading of those of several instances: as old as the oldest that went into it.
func reduce(how string, all []runner.Reading) (r runner.Reading, ok bool) {
	if len(all) == 0 {
		return r, false
	}
	r = all[0]
	for _, v := range all[1:] {
		switch how {
		case wasmabi.ReduceSum, wasmabi.ReduceAvg:
			r.Value += v.Value
		case wasmabi.ReduceMin:
			r.Value = min(r.Value, v.Value)
		case wasmabi.ReduceMax:
			r.Value = max(r.Value, v.Value)
		default:
			if v.Age < r.Age {
				r = v
			}
			continue
		}
		r.Age = max(r.Age, v.Age)
	}
	if how == wasmabi.ReduceAvg {
		r.Value /= float64(len(all))
	}
	return r, true
}
