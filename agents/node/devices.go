package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/edgehold/edgehold/agents/doctor"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/agents/proxy"
	"github.com/edgehold/edgehold/mechanisms"
)

// Files below the state folder by which the guard finds the devices: how they are reached, and which knobs were seen.
const (
	devicesFolder = "devices"
	devicesReach  = "reach.json"
	devicesSeen   = "seen.json"
)

// openDevices makes the proxy of the far-edge devices, whose driver is registered before any policy starts: what an earlier process left turned on
// a device is put back when the device can be asked.
func (n *Node) openDevices(ctx context.Context) error {
	if n.config.Devices.Broker == "" {
		return nil
	}
	dir := n.folder(devicesFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the devices' folder: %w", err)
	}
	r := reach{n.config.Devices, n.config.Name, time.Duration(n.config.MechanismPlugins.Patience)}
	if err := keepReach(dir, r); err != nil {
		return err
	}
	config, err := r.proxy(dir)
	if err != nil {
		return err
	}
	config.Name, config.Ring = "edgehold-agent-"+n.config.Name, n.telemetry.Store()
	config.Logger = n.log.With("part", "devices")
	if n.devices, err = proxy.New(config); err != nil {
		return err
	}
	return n.supervisor.Register(ctx, n.devices.Driver())
}

// reach is how the guard reaches the devices: the names of files with secrets, not the secrets. Holder is whose leases it puts back.
type reach struct {
	Devices  config.Devices `json:"devices"`
	Holder   string         `json:"holder"`
	Patience time.Duration  `json:"patience_ns"` // of the supervisor, with one call of a driver
}

// proxy is what the daemon's proxy and the guard's have in common; dir is the devices' folder.
func (r *reach) proxy(dir string) (proxy.Config, error) {
	c, err := r.Devices.Proxy()
	c.Holder, c.Driving, c.File = r.Holder, r.Patience*3/4, filepath.Join(dir, devicesSeen)
	return c, err
}

func keepReach(dir string, r reach) error {
	raw, err := json.Marshal(r)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, devicesReach), raw, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write down how devices are reached: %w", err)
	}
	return nil
}

// guardDevices opens the devices for the guard, which serves them until its process ends.
func guardDevices(dir string) (mechanisms.Driver, error) {
	p, err := devicesOf(dir)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := p.Run(context.Background()); err != nil {
			slog.Error("devices can't be reached", "error", err)
		}
	}()
	return p.Driver(), nil
}

// devicesOf makes a proxy of what an agent wrote down.
func devicesOf(dir string) (*proxy.Proxy, error) {
	raw, err := os.ReadFile(filepath.Join(dir, devicesReach))
	if err != nil {
		return nil, fmt.Errorf("read how devices are reached: %w", err)
	}
	var r reach
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, fmt.Errorf("read how devices are reached: %w", err)
	}
	config, err := r.proxy(dir)
	if err != nil {
		return nil, err
	}
	return proxy.New(config)
}

// followDevices runs the proxy, if there is one, until [Node.Close]: knobs of devices are put back through it after Run.
func (n *Node) followDevices() {
	if n.devices == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	n.endDevices = func() { cancel(); <-done }
	go func() {
		defer close(done)
		if err := n.devices.Run(ctx); err != nil {
			n.log.Error("devices are not followed", "error", err)
		}
	}()
}

func (n *Node) leaveDevices(context.Context) error {
	if n.endDevices != nil {
		n.endDevices()
	}
	return nil
}

// devices says how it stands with the far-edge devices.
func (e examiner) devices(context.Context) doctor.Result {
	if e.n.devices == nil {
		return doctor.OK("this agent stands for none")
	}
	switch s := e.n.devices.Status(); {
	case s.Unreachable != "":
		return doctor.Warn("see that broker and gateway run, and what the broker says of this agent's user", "nobody can ask the devices: %s", s.Unreachable)
	case s.Refused > 0:
		return doctor.Warn("raise devices.max, or narrow devices.endpoints", "%d announcements are beyond the %d devices that are followed", s.Refused, s.Devices+s.Away)
	case len(s.Silent) > 0:
		return doctor.Warn("see `edgehold device list`", "%d devices are announced and do not answer, %s for one", len(s.Silent), s.Silent[0])
	default:
		return doctor.OK("%d devices, %d more are away", s.Devices, s.Away)
	}
}
