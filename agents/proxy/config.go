package proxy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// Config of a Proxy.
type Config struct {
	Broker     string // address, as mqtt.DialConfig has it
	Name       string // client identifier; the broker has to know nobody else by it
	Holder     string // under which leases on devices are this agent's; Name. Whoever has the same one takes its knobs
	User       string
	Password   string
	TLS        *tls.Config
	Endpoints  []string            // patterns of endpoint names, as path.Match has them; none: all
	Properties []Property          // what is observed; none: DefaultProperties
	Choices    map[string][]string // positions of knobs whose devices don't tell them, by the knob's name
	Refresh    time.Duration       // how often knobs are read again; 30 s
	Settle     time.Duration       // longest time between two values of a property, asked of the device as pmax; 30 s
	Patience   time.Duration       // for one answer of a device that is awake; 10 s
	Driving    time.Duration       // a call of Driver takes no longer: less than what its supervisor has with a driver; 1.5 s
	Devices    int                 // how many are followed; 1,000
	File       string              // where knobs are kept that were seen, so that a new process knows what it may have to put back
	Ring       Ring                // takes metrics; nil: none are observed
	Now        func() time.Time    // time.Now
	Logger     *slog.Logger        // slog.DiscardHandler
}

// Ring takes samples. *ring.Store is one.
type Ring interface {
	Append(name string, labels []ring.Label, unixMS int64, v float64) error
	Describe(name string, m ring.Meta) error
}

// Property says which property of a device becomes which metric.
type Property struct {
	Object string  // sdfObject, "Connectivity_Monitoring"
	Name   string  // sdfProperty, "Radio_Signal_Strength"
	Metric string  // "device_radio_signal_strength_dbm"
	Unit   string  // of the metric
	Scale  float64 // metric = scale × property; 0 is 1
	Help   string
}

// DefaultProperties are what most devices have. Instances of an object are told apart by the label instance.
func DefaultProperties() []Property {
	const monitor = "Software_Package_Monitoring"
	p := []Property{
		{Object: "Connectivity_Monitoring", Name: "Radio_Signal_Strength", Metric: "device_radio_signal_strength_dbm", Unit: "dBm", Help: "Strength of the radio signal that the device receives."},
		{Object: "Connectivity_Monitoring", Name: "Link_Quality", Metric: "device_link_quality", Unit: "1", Help: "Quality of the link, as the device's radio counts it."},
		{Object: "Device", Name: "Battery_Level", Metric: "device_battery_level_ratio", Unit: "1", Scale: 0.01, Help: "Charge that the battery has left."},
		{Object: "Device", Name: "Memory_Free", Metric: "device_memory_free_bytes", Unit: "bytes", Scale: 1024, Help: "Memory for workloads and data that is free."},
		{Object: "Device", Name: "Memory_Total", Metric: "device_memory_total_bytes", Unit: "bytes", Scale: 1024, Help: "Memory for workloads and data in all."},
		{Object: monitor, Name: "CPU_Usage", Metric: "device_workload_cpu_ratio", Unit: "1", Scale: 0.01, Help: "Share of the device's processor that a workload uses."},
		{Object: monitor, Name: "Memory_Usage", Metric: "device_workload_memory_bytes", Unit: "bytes", Help: "Memory that a workload uses."},
		{Object: monitor, Name: "Uptime", Metric: "device_workload_uptime_seconds", Unit: "s", Scale: 0.001, Help: "Time since a workload was started."},
	}
	for _, s := range []struct{ object, metric, unit string }{
		{"Temperature", "device_temperature_celsius", "Cel"}, {"Humidity", "device_humidity_percent", "%"}, {"Illuminance", "device_illuminance_lux", "lx"},
		{"Pressure", "device_pressure", "1"}, {"Voltage", "device_voltage_volts", "V"}, {"Current", "device_current_amperes", "A"},
		{"Power", "device_power_watts", "W"}, {"Loudness", "device_loudness_db", "dB"}, {"Concentration", "device_concentration", "1"}, {"Generic_Sensor", "device_sensor_value", "1"},
	} {
		p = append(p, Property{Object: s.object, Name: "Sensor_Value", Metric: s.metric, Unit: s.unit, Help: "What a sensor of the device measures last."})
	}
	return p
}

// Names of the proxy's own metrics and labels.
const (
	MetricOnline   = "device_online" // 1 announced, 0 gone; no sample where nobody can know
	LabelDevice    = "device"
	LabelInstance  = "instance"
	defaultDevices = 1000
)

func (c *Config) defaults() {
	if c.Properties == nil {
		c.Properties = DefaultProperties()
	}
	c.Holder = shell.Word(cmp.Or(c.Holder, c.Name, "edgehold-agent"))
	c.Refresh = cmp.Or(c.Refresh, 30*time.Second)
	c.Settle = cmp.Or(c.Settle, 30*time.Second)
	c.Patience = cmp.Or(c.Patience, 10*time.Second)
	c.Driving = cmp.Or(c.Driving, 1500*time.Millisecond)
	c.Devices = cmp.Or(c.Devices, defaultDevices)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports every problem of c at once.
func (c *Config) Validate() error {
	var errs []error
	if c.Broker == "" {
		errs = append(errs, errors.New("devices: the broker's address is missing"))
	}
	for _, e := range c.Endpoints {
		if _, err := path.Match(e, ""); err != nil {
			errs = append(errs, fmt.Errorf("devices: pattern %q: %w", e, err))
		}
	}
	for _, p := range c.Properties {
		if p.Object == "" || p.Name == "" || p.Metric == "" {
			errs = append(errs, fmt.Errorf("devices: property %q of object %q as metric %q: all three are needed", p.Name, p.Object, p.Metric))
		}
	}
	return errors.Join(errs...)
}

// follows says whether a device of that name is the proxy's.
func (c *Config) follows(endpoint string) bool {
	if len(c.Endpoints) == 0 {
		return true
	}
	for _, pattern := range c.Endpoints {
		if ok, _ := path.Match(pattern, endpoint); ok {
			return true
		}
	}
	return false
}

func (c *Config) dial() mqtt.DialConfig {
	return mqtt.DialConfig{Address: c.Broker, Name: c.Name, User: c.User, Password: c.Password, TLS: c.TLS, Retry: true}
}
