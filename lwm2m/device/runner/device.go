package runner

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/wasmabi"
)

// device is the handle by which a guest reaches what it was granted. Properties are looked at before a call: an object of the device may
// be locked by whoever waits for this very call to end.
type device struct {
	runner   *Runner
	manifest *wasmabi.Manifest
	paths    []lwm2m.Path
	granted  []bool // properties
	knobs    []bool
	turned   []string      // by knob: what the workload has set it to, "" for nothing
	values   []lwm2m.Value // for the call under way
	next     []lwm2m.Value // for the one after it; the runner's loop alone uses it
}

func newDevice(r *Runner, m *wasmabi.Manifest) *device {
	w := &m.Workload
	d := &device{runner: r, manifest: m, paths: make([]lwm2m.Path, len(w.Properties)), granted: make([]bool, len(w.Properties)),
		knobs: make([]bool, len(w.Knobs)), turned: make([]string, len(w.Knobs)), values: make([]lwm2m.Value, len(w.Properties)), next: make([]lwm2m.Value, len(w.Properties))}
	offers := func(p lwm2m.Path, knob string) bool { return r.config.Offers == nil || r.config.Offers(m, p, knob) }
	for i := range w.Properties {
		path, err := lwm2m.ParsePath(w.Properties[i].Path)
		d.paths[i], d.granted[i] = path, err == nil && !secret(path) && offers(path, "")
	}
	for i := range w.Knobs {
		d.knobs[i] = offers(lwm2m.Path{}, w.Knobs[i].Name)
	}
	return d
}

// secret objects hold keys: Security, Server, Access Control, OSCORE.
func secret(p lwm2m.Path) bool {
	switch p.Object() {
	case 0, 1, 2, 21:
		return true
	}
	return false
}

// look reads the granted properties for the next call.
func (d *device) look() {
	for i, p := range d.paths {
		d.next[i] = lwm2m.Value{}
		if d.granted[i] && d.runner.config.Properties != nil {
			if v, ok := d.runner.config.Properties.Property(p); ok {
				d.next[i] = v
			}
		}
	}
}

// show makes what look has read what the guest reads.
func (d *device) show() { d.values, d.next = d.next, d.values }

// Call answers the guest; see wasmabi.HandleDevice.
func (d *device) Call(_ context.Context, op uint32, in, dst []byte) ([]byte, error) {
	if len(in) < 4 {
		return dst, host.ErrInvalid
	}
	place, rest := binary.LittleEndian.Uint32(in), string(in[4:])
	switch op {
	case wasmabi.HandleDeviceRead:
		return d.read(place, dst)
	case wasmabi.HandleKnobGet:
		if err := d.knob(place, false); err != nil {
			return dst, err
		}
		v, err := d.runner.config.Knobs.Get(d.manifest.Workload.Knobs[place].Name)
		return append(dst, v...), err
	case wasmabi.HandleKnobSet:
		if err := d.knob(place, true); err != nil {
			return dst, err
		}
		return dst, d.turn(place, rest)
	}
	return dst, host.ErrInvalid
}

func (d *device) read(place uint32, dst []byte) ([]byte, error) {
	if int(place) >= len(d.paths) {
		return dst, host.ErrInvalid
	}
	p := &d.manifest.Workload.Properties[place]
	if !d.granted[place] {
		return dst, fmt.Errorf("%w: this device does not let workloads read %s", host.ErrDenied, p.Path)
	}
	v := d.values[place]
	if v.IsNone() {
		return dst, fmt.Errorf("%s has no value now, or is not there; at the start none has", p.Path)
	}
	if p.Type == wasmabi.TypeBytes {
		return append(dst, v.Text()...), nil
	}
	f := v.Float()
	if math.IsNaN(f) {
		return dst, fmt.Errorf("%s is no number", p.Path)
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f)), nil
}

func (d *device) turn(place uint32, value string) (err error) {
	knobs, name := d.runner.config.Knobs, d.manifest.Workload.Knobs[place].Name
	if err := knobs.Set(name, value); err != nil {
		return err
	}
	d.turned[place], err = knobs.Get(name) // as it is kept
	return err
}

// giveBack puts the knobs that the workload has turned to their defaults, but those that somebody else has turned since.
func (d *device) giveBack() {
	for place, value := range d.turned {
		if value == "" {
			continue
		}
		d.turned[place] = ""
		knobs, name := d.runner.config.Knobs, d.manifest.Workload.Knobs[place].Name
		now, err := knobs.Get(name)
		if err == nil && now == value {
			err = knobs.Reset(name)
		}
		if err != nil {
			d.runner.config.Logger.Warn("a knob stays as a workload left it", "workload", d.manifest.Name, "knob", name, "error", err)
		}
	}
}

func (d *device) knob(place uint32, write bool) error {
	if int(place) >= len(d.knobs) {
		return host.ErrInvalid
	}
	k := &d.manifest.Workload.Knobs[place]
	if !d.knobs[place] || write && !k.Write || d.runner.config.Knobs == nil {
		return fmt.Errorf("%w: the knob %s was not granted", host.ErrDenied, k.Name)
	}
	return nil
}
