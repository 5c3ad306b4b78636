package device

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/route"
)

// Config is what a device is made of. Endpoint, Accounts and StateDir are all it needs.
type Config struct {
	Endpoint string
	Accounts []client.Account // of servers, or of a bootstrap server
	StateDir string           // packages, routes, what bootstrap wrote
	// TrustKeys are whose word makes a package acceptable. Without one no package is.
	TrustKeys []ed25519.PublicKey

	Simulate       bool          // sensors and a radio from models, which say so
	Distance       float64       // metres of a simulated radio to its gateway; 0 is 10
	SampleInterval time.Duration // 0 is 10 s; the knob SAMPLE_INTERVAL changes it
	Root           fs.FS         // has proc and sys; nil has neither

	// Listen is where values for routes come in by CoAP, "host:port". Empty: nowhere; routes to other machines work all the same.
	Listen string
	// Brokers is what lets routes in at MQTT brokers, by "host:port".
	Brokers map[string]route.Broker
	// Offer says what workloads and policies may have of this device.
	Offer Offer
	// Parameters are values of workloads' parameters, by the workload's name.
	Parameters map[string]map[string]float64
	Limits     Limits
	// FirmwareCommand applies a firmware image, whose file is its last argument. Empty: there is no object 5.
	FirmwareCommand []string
	FirmwareVersion string // that runs

	QueueMode bool
	Stay      bool // do not de-register at the end: the device will be back
	Network   client.Network
	Reboot    func()
	Logger    *slog.Logger
}

// Offer are patterns as in path.Match of what workloads may have. An empty list offers all: their packages are signed, and keys are never
// among it.
type Offer struct {
	Properties []string `json:"properties"` // "/3303/*/5700"
	Knobs      []string `json:"knobs"`      // "TX_PWR"
}

func (o Offer) has(property, knob string) bool {
	if knob != "" {
		return matches(o.Knobs, knob)
	}
	return matches(o.Properties, property)
}

func matches(patterns []string, s string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, s); ok && err == nil {
			return true
		}
	}
	return len(patterns) == 0
}

// Limits bound what workloads take.
type Limits struct {
	Memory   uint64        // bytes of each; 0 is 1 MiB
	Fuel     uint64        // of each call; 0 is 20 million
	Deadline time.Duration // of each call; 0 is 5 s
	Package  int64         // bytes; 0 is 512 KiB
}

const (
	defaultMemory   = 1 << 20
	defaultFuel     = 20_000_000
	defaultDeadline = 5 * time.Second
	defaultPackage  = 512 << 10
	defaultSample   = 10 * time.Second
	defaultDistance = 10
)

// Validate reports everything that a device can't be made of.
func (c *Config) Validate() error {
	var problems []error
	if c.Endpoint == "" {
		problems = append(problems, errors.New("it has no endpoint name"))
	}
	if len(c.Accounts) == 0 {
		problems = append(problems, errors.New("it has no server"))
	}
	if c.StateDir == "" {
		problems = append(problems, errors.New("it has no folder for its state"))
	}
	for _, p := range append(append([]string{}, c.Offer.Properties...), c.Offer.Knobs...) {
		if _, err := path.Match(p, ""); err != nil {
			problems = append(problems, fmt.Errorf("%q is no pattern", p))
		}
	}
	if c.SampleInterval < 0 || c.Distance < 0 {
		problems = append(problems, errors.New("a time or a distance is below zero"))
	}
	return errors.Join(problems...)
}
