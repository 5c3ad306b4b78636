package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
)

// Mechanism is the name of what Driver drives.
const Mechanism = "DeviceKnobs"

// Driver turns the knobs of a Proxy's devices. A knob is named <endpoint>/<knob>.
type Driver struct{ proxy *Proxy }

// Driver of the proxy's devices. It works while Run does; before and after, all knobs are unavailable.
func (p *Proxy) Driver() *Driver { return &Driver{p} }

// Describe implements mechanisms.Driver.
func (*Driver) Describe() mechanisms.Description {
	return mechanisms.Description{
		Name: Mechanism, Version: "1", Layer: "node", Summary: "Knobs of far-edge devices, through their gateway",
		Verbs: []mechanisms.Verb{mechanisms.Set, mechanisms.Reset},
	}
}

// Knobs implements mechanisms.Driver. It asks nobody: what is listed is what each device said last.
func (w *Driver) Knobs(context.Context) (list []mechanisms.Knob, err error) {
	for _, d := range w.proxy.all() {
		list = append(list, d.list()...)
	}
	return list, nil
}

func (d *device) list() (list []mechanisms.Knob) {
	absent, now := d.absent(), d.proxy.config.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
		why := absent
		if why == "" && k.other.holds(now) {
			why = errHeld.Error() + " by " + k.other.name
		}
		list = append(list, mechanisms.Knob{
			Name: d.endpoint + "/" + k.Name, Summary: k.Name + " of device " + d.endpoint, Kind: k.Kind, Choices: k.Choices, Min: k.Min, Max: k.Max, Unit: k.Unit,
			Driver: "device " + d.endpoint, Unavailable: why,
		})
	}
	return list
}

// find is the device and the knob of a name.
func (w *Driver) find(name string) (*device, knob, error) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return nil, knob{}, fmt.Errorf("knob %q is not of the form DEVICE/KNOB", name)
	}
	d := w.proxy.device(name[:i])
	if d == nil {
		return nil, knob{}, fmt.Errorf("knob %s: there is no such device", name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
		if k.Name == name[i+1:] {
			return d, k, nil
		}
	}
	return nil, knob{}, fmt.Errorf("knob %s: the device has none of that name", name)
}

// Read implements mechanisms.Driver. A value that was read within [Config.Refresh] is good; after a write the device is asked.
func (w *Driver) Read(ctx context.Context, name string) (mechanisms.Value, error) {
	d, k, err := w.find(name)
	if err != nil {
		return mechanisms.Value{}, err
	}
	if why := d.absent(); why != "" {
		return mechanisms.Value{}, unavailable(name, why)
	}
	if k.value == "" || d.stale() {
		err := d.exchange(ctx, func(ctx context.Context, s *shell.Shell) error {
			v, err := s.Get(ctx, k.Name)
			if k.value = v.Value; err == nil {
				d.set(k.Name, v.Value)
			}
			return err
		})
		if err != nil {
			return mechanisms.Value{}, fmt.Errorf("read knob %s: %w", name, err)
		}
	}
	return k.position(k.value)
}

func (d *device) stale() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.proxy.config.Now().Sub(d.read) > 2*d.proxy.config.Refresh
}

// Write implements mechanisms.Driver: under a lease, where the device knows any. Until Restore the proxy renews it.
func (w *Driver) Write(ctx context.Context, name string, v mechanisms.Value) error {
	return w.turn(ctx, name, v, func(ctx context.Context, d *device, k knob, s *shell.Shell) error {
		l, now := d.lease(k), d.proxy.config.Now()
		err := s.Set(ctx, k.Name, v.String(), l)
		switch {
		case l.For == 0:
		case err == nil:
			d.own(k.Name, v.String(), now.Add(l.For))
		case errors.Is(err, shell.ErrRefused):
			return cmp.Or(d.free(ctx, k.Name, s), err)
		}
		return err
	})
}

// Restore implements mechanisms.Restorer: the knob is at its old value until somebody turns it. What another agent holds is left to it, also what it
// took after a lease of this agent had ended: while this one was away, or the way to the device was cut.
func (w *Driver) Restore(ctx context.Context, name string, v mechanisms.Value) error {
	return w.turn(ctx, name, v, func(ctx context.Context, d *device, k knob, s *shell.Shell) error {
		if k.Lease > 0 && !d.surelyOurs(k.Name) {
			if err := d.free(ctx, k.Name, s); err != nil {
				return err
			}
		}
		err := s.Set(ctx, k.Name, v.String(), shell.Lease{})
		if err == nil {
			d.own(k.Name, "", time.Time{})
		}
		return err
	})
}

var errHeld = errors.New("it is held on the device")

// free fails if somebody else holds a knob.
func (d *device) free(ctx context.Context, name string, s *shell.Shell) error {
	if err := d.askHolders(ctx, s); err != nil {
		return err
	}
	if who := d.heldBy(name); who != "" {
		return fmt.Errorf("%w: %w by %s", mechanisms.ErrUnavailable, errHeld, who)
	}
	return nil
}

// turn has a knob turned that can be.
func (w *Driver) turn(ctx context.Context, name string, v mechanisms.Value, how func(context.Context, *device, knob, *shell.Shell) error) error {
	d, k, err := w.find(name)
	if err != nil {
		return err
	}
	if why := d.absent(); why != "" {
		return unavailable(name, why)
	}
	err = d.exchange(ctx, func(ctx context.Context, s *shell.Shell) error {
		d.set(k.Name, "") // whatever comes of it, the value that was known is no longer
		return how(ctx, d, k, s)
	})
	if err != nil {
		return fmt.Errorf("turn knob %s to %s: %w", name, v, err)
	}
	return nil
}

// exchange speaks with the device's shell, within what the supervisor waits for a driver.
func (d *device) exchange(ctx context.Context, speak func(context.Context, *shell.Shell) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.proxy.config.Driving)
	defer cancel()
	s, leave, err := d.speak(ctx)
	if err != nil {
		return asUnavailable(err)
	}
	defer leave()
	err = speak(ctx, s)
	d.note(err)
	return asUnavailable(err)
}

// asUnavailable marks what is perhaps otherwise later: nobody answered, or the gateway could not reach the device.
func asUnavailable(err error) error {
	if err == nil || errors.Is(err, mechanisms.ErrUnavailable) {
		return err
	}
	e := (*mqtt.Error)(nil)
	refused := errors.As(err, &e) && e.Status != 0 && e.Status < 500 && e.Code != "device.unknown"
	if refused || errors.Is(err, shell.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", mechanisms.ErrUnavailable, err)
}

func unavailable(name, why string) error {
	return fmt.Errorf("knob %s: %s: %w", name, why, mechanisms.ErrUnavailable)
}

func (d *device) set(name, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.knobs {
		if d.knobs[i].Name == name {
			d.knobs[i].value = value
		}
	}
}

// position is a value as the device writes it.
func (k knob) position(s string) (mechanisms.Value, error) {
	if k.Kind != mechanisms.KindNumber {
		if !shell.Printable(s) {
			return mechanisms.Value{}, fmt.Errorf("knob %s is at %q, which is no word", k.Name, s)
		}
		return mechanisms.Choice(s), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !finite(f) {
		return mechanisms.Value{}, fmt.Errorf("knob %s is at %q, which is no number", k.Name, s)
	}
	return mechanisms.Number(f), nil
}

// Order implements mechanisms.Driver: no knob stands in another one's way.
func (*Driver) Order(_ map[string]mechanisms.Value, settings []mechanisms.Setting) []mechanisms.Setting {
	return settings
}

// Facts implements mechanisms.Reporter.
func (w *Driver) Facts(context.Context) map[string]string {
	s := w.proxy.Status()
	facts := map[string]string{"devices": strconv.Itoa(s.Devices), "away": strconv.Itoa(s.Away)}
	if s.Unreachable != "" {
		facts["unreachable"] = s.Unreachable
	}
	if len(s.Silent) > 0 {
		facts["silent"] = strings.Join(s.Silent[:min(len(s.Silent), 8)], ", ")
	}
	return facts
}
