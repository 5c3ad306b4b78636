package fleet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config says what a fleet is and does. Devices and Target are needed.
type Config struct {
	Devices int
	Target  netip.AddrPort // the gateway, on this machine
	Prefix  string         // of the endpoint names, "sim-" if empty; the number follows

	// Rate is how many devices begin in a second. 0: as many as may wait for their answer, InFlight (512).
	Rate     float64
	InFlight int

	Lifetime time.Duration // of registrations, 1 h if 0
	Update   time.Duration // between updates, half the lifetime if 0
	Notify   time.Duration // between notifications of an observed resource, 1 min if 0
	Awake    time.Duration // after an answer, before a sleeping device sleeps, 2 s if 0

	Sleepers float64 // share of devices in queue mode: they hear nothing between updates
	Loss     float64 // probability that a datagram is lost, in each direction
	Rebind   float64 // probability that a device has another address at an update
	Restart  float64 // probability that a device is reset at an update, and registers again

	AckTimeout time.Duration // before the first repetition, 2 s if 0 (RFC 7252 section 4.8)
	Seed       uint64
}

// shards is how many sockets a fleet has.
const shards = 2

const (
	maxDevices  = 1 << 20
	generations = 8 // addresses that each device has in turn
)

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if c.Devices <= 0 || c.Devices > maxDevices {
		errs = append(errs, fmt.Errorf("configure a fleet: %d devices; 1 to %d are possible", c.Devices, maxDevices))
	}
	if !c.Target.Addr().Unmap().IsLoopback() || !c.Target.Addr().Unmap().Is4() {
		errs = append(errs, fmt.Errorf("configure a fleet: the gateway is at %v; addresses in 127/8 reach only this machine's, over IPv4", c.Target))
	}
	for name, p := range map[string]float64{"sleepers": c.Sleepers, "loss": c.Loss, "rebinding": c.Rebind, "restarts": c.Restart} {
		if p < 0 || p > 1 {
			errs = append(errs, fmt.Errorf("configure a fleet: %s is %v, and is a share between 0 and 1", name, p))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	set := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	set(&c.Lifetime, time.Hour)
	set(&c.Update, c.Lifetime/2)
	set(&c.Notify, time.Minute)
	set(&c.Awake, 2*time.Second)
	set(&c.AckTimeout, 2*time.Second)
	if c.Prefix == "" {
		c.Prefix = "sim-"
	}
	if c.InFlight <= 0 {
		c.InFlight = 512
	}
	c.Target = netip.AddrPortFrom(c.Target.Addr().Unmap(), c.Target.Port())
	return c
}
