package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/proxy"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Devices says which far-edge devices this agent stands for (D3.3 §6.3.6). Without a broker it stands for none.
type Devices struct {
	// Broker is where their gateway and this agent meet: mqtt://HOST:PORT, mqtts://HOST:PORT or unix:///PATH.
	Broker string `json:"broker,omitempty"`
	// User and PasswordFile are what the broker wants to know; the file holds the password and nothing else.
	User         string `json:"user,omitempty"`
	PasswordFile string `json:"password_file,omitempty"`
	// CA is the path of the certificates that the broker's is checked against, PEM; the system's by default.
	CA string `json:"ca,omitempty"`
	// Certificate is who this agent is, where the broker goes by certificates.
	Certificate TLS `json:"certificate,omitzero"`
	// Endpoints are patterns of device names; empty is all that the broker shows.
	Endpoints []string `json:"endpoints,omitempty"`
	// Properties replace what is observed by default.
	Properties []DeviceProperty `json:"properties,omitempty"`
	// Choices are the positions of knobs whose devices don't tell them, by the knob's name.
	Choices map[string][]string `json:"choices,omitempty"`
	// Interval is the longest time between two values of a property, and how often knobs are read again.
	Interval Duration `json:"interval,omitempty"`
	// Max bounds how many devices are followed.
	Max int `json:"max,omitempty"`
}

// DeviceProperty says which property of a device becomes which metric.
type DeviceProperty struct {
	Object   string  `json:"object"`
	Property string  `json:"property"`
	Metric   string  `json:"metric"`
	Unit     string  `json:"unit,omitempty"`
	Scale    float64 `json:"scale,omitempty"`
}

const (
	defaultDeviceInterval = 30 * time.Second
	defaultDevices        = 1000
)

func (d *Devices) setDefaults() {
	d.Interval = cmp.Or(d.Interval, Duration(defaultDeviceInterval))
	d.Max = cmp.Or(d.Max, defaultDevices)
}

func (d *Devices) resolve(absolute func(string) string) {
	for _, p := range []*string{&d.PasswordFile, &d.CA, &d.Certificate.Certificate, &d.Certificate.Key} {
		*p = absolute(*p)
	}
}

func (d *Devices) validate(p *problems) {
	if d.Broker == "" {
		return
	}
	scheme, _, ok := strings.Cut(d.Broker, "://")
	p.require(ok, "devices.broker", fmt.Sprintf("is %q", d.Broker), "write mqtt://HOST:PORT, mqtts://HOST:PORT or unix:///PATH")
	if ok {
		p.oneOf("devices.broker", scheme, "mqtt", "mqtts", "unix", "ws", "wss")
	}
	p.between("devices.interval", d.Interval, time.Second, 24*time.Hour)
	p.require(d.Max > 0 && d.Max <= 100_000, "devices.max", "is out of range", "choose 1 to 100000")
	p.require((d.Certificate.Certificate == "") == (d.Certificate.Key == ""), "devices.certificate", "lacks its certificate or its key", "give both")
	c, err := d.Proxy()
	if err == nil {
		err = c.Validate()
	}
	p.require(err == nil, "devices", fmt.Sprint("can't be used: ", err), "see `edgeholdd config example`")
}

// Proxy is the configuration of the proxy agent, but for what the node gives it.
func (d *Devices) Proxy() (proxy.Config, error) {
	c := proxy.Config{
		Broker: d.Broker, User: d.User, Endpoints: d.Endpoints, Choices: d.Choices, Devices: d.Max,
		Refresh: time.Duration(d.Interval), Settle: time.Duration(d.Interval),
	}
	for _, p := range d.Properties {
		c.Properties = append(c.Properties, proxy.Property{Object: p.Object, Name: p.Property, Metric: p.Metric, Unit: p.Unit, Scale: p.Scale})
	}
	dial := mqtt.DialConfig{}
	err := mqtt.Secrets{Password: d.PasswordFile, CA: d.CA, Certificate: d.Certificate.Certificate, Key: d.Certificate.Key}.Read(&dial)
	c.Password, c.TLS = dial.Password, dial.TLS
	return c, err
}
