package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/sdf/mqtt"
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
	why := d.absent()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.knobs {
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
		if k.value, err = w.exchange(ctx, d, k.Name, "get", k.Name); err != nil {
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

// Write implements mechanisms.Driver.
func (w *Driver) Write(ctx context.Context, name string, v mechanisms.Value) error {
	d, k, err := w.find(name)
	if err != nil {
		return err
	}
	if why := d.absent(); why != "" {
		return unavailable(name, why)
	}
	if _, err := w.exchange(ctx, d, "", "set", k.Name, v.String()); err != nil {
		return fmt.Errorf("turn knob %s to %s: %w", name, v, err)
	}
	return nil
}

// exchange has one command done, within what the supervisor waits for a driver. The answer has to be about the knob named, if one is: somebody
// else may use the same shell.
func (w *Driver) exchange(ctx context.Context, d *device, about string, words ...string) (value string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.shell.take(ctx); err != nil {
		return "", fmt.Errorf("%w: it has not answered what it was asked before", mechanisms.ErrUnavailable)
	}
	defer d.shell.leave()
	if about == "" {
		d.forget(words[1]) // whatever comes of it, the value that was known is no longer
	}
	text, err := d.command(ctx, words...)
	d.note(err)
	if err != nil {
		return "", asUnavailable(err)
	}
	if about == "" {
		return "", nil
	}
	value, ok := values(text)[about]
	if !ok || value == "" {
		return "", fmt.Errorf("its shell answered something else: %w", mechanisms.ErrUnavailable)
	}
	d.set(about, value)
	return value, nil
}

// asUnavailable marks what is perhaps otherwise later: nobody answered, or the gateway could not reach the device.
func asUnavailable(err error) error {
	e := (*mqtt.Error)(nil)
	refused := errors.As(err, &e) && e.Status != 0 && e.Status < 500 && e.Code != "device.unknown"
	if refused || errors.Is(err, errRefused) {
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

func (d *device) forget(name string) { d.set(name, "") }

// position is a value as the device writes it.
func (k knob) position(s string) (mechanisms.Value, error) {
	if k.Kind != mechanisms.KindNumber {
		if !printable(s) {
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
