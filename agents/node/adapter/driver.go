package adapter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

// Runner runs the operations of one version: a module on our own runner, or, for those that say so, a plugin in a process of
// its own (package fallback), which has neither handles nor a record.
type Runner interface {
	Manifest() *wasmabi.Manifest
	Digest() string
	Operate(ctx context.Context, c host.SessionConfig, init []byte, op wasmabi.Op, request []byte, use func(response []byte) error) error
	Close()
}

var _, _ Runner = (*host.Module)(nil), (*fallback.Plugin)(nil)

// Module is one version of an adapter, with what it was granted.
type Module struct {
	Host  Runner
	Init  wasmabi.Init    // without capabilities and context
	Grant *capability.Set // of the manifest's capabilities, all of them and in their order
}

// Close gives up what the version holds. Operations that run are finished by the host.
func (m *Module) Close() error {
	m.Host.Close()
	return m.Grant.Close()
}

// Rest gives up what the version holds while it is not in service: connections, and a process. It can be put into service again.
func (m *Module) Rest() error {
	err := m.Grant.Close()
	if r, ok := m.Host.(interface{ Rest() error }); ok {
		err = errors.Join(err, r.Rest())
	}
	return err
}

// Config of a Driver. The zero value works.
type Config struct {
	Now    func() time.Time                       // nil: time.Now
	Seed   func() uint64                          // nil: zero, always
	Record func(e *record.Episode, failure error) // gets every operation; nil: none is recorded
}

// Driver is an adapter as the supervisor sees it. Its module can be exchanged while it is registered.
type Driver struct {
	config Config
	desc   mechanisms.Description

	mu     sync.RWMutex // held for reading during an operation
	module *Module
	order  []string // the knobs as the module lists them

	told  map[string]string // the last facts
	until time.Time         // they are asked for again
}

// factsFresh is how long facts are believed: they are for people.
const factsFresh = 10 * time.Second

var _ interface {
	mechanisms.Driver
	mechanisms.Restorer
	mechanisms.Foreteller
	mechanisms.Reporter
} = (*Driver)(nil)

// NewDriver makes a driver of a module. It runs nothing of it.
func NewDriver(m *Module, c Config) *Driver {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Seed == nil {
		c.Seed = func() uint64 { return 0 }
	}
	return &Driver{config: c, desc: Describe(m.Host.Manifest()), module: m}
}

// Describe returns what an adapter's manifest says of its mechanism.
func Describe(m *wasmabi.Manifest) mechanisms.Description {
	p := m.Provides
	d := mechanisms.Description{
		Name: p.Mechanism, Version: m.Version, Layer: m.Layer, Summary: p.Summary, Verbs: []mechanisms.Verb{mechanisms.Set, mechanisms.Reset},
		Pace: mechanisms.Pace{Every: time.Duration(p.EveryMS) * time.Millisecond, Burst: int(p.Burst)},
	}
	if d.Summary == "" {
		d.Summary = m.Description
	}
	for _, c := range m.Capabilities {
		d.Privileges = append(d.Privileges, c.Kind+" "+c.Name)
	}
	return d
}

// Exchange puts another version in the module's place, when no operation runs, and returns the one before. A version that
// does not list its knobs is not put there.
func (d *Driver) Exchange(ctx context.Context, next *Module) (before *Module, err error) {
	if got, want := next.Host.Manifest().Provides.Mechanism, d.desc.Name; got != want {
		return nil, fmt.Errorf("exchange adapter: the version makes mechanism %s, and not %s", got, want)
	}
	if _, err := d.knobs(ctx, next); err != nil {
		return nil, fmt.Errorf("exchange adapter: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	before, d.module, d.told, d.until = d.module, next, nil, time.Time{}
	return before, nil
}

// Describe implements mechanisms.Driver.
func (d *Driver) Describe() mechanisms.Description { return d.desc }

// Knobs implements mechanisms.Driver.
func (d *Driver) Knobs(ctx context.Context) ([]mechanisms.Knob, error) {
	d.mu.RLock()
	m := d.module
	list, err := d.knobs(ctx, m)
	d.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(list))
	for i, k := range list {
		names[i] = k.Name
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.module == m {
		d.order = names
	}
	return list, nil
}

func (d *Driver) knobs(ctx context.Context, m *Module) ([]mechanisms.Knob, error) {
	var options wasmabi.Options
	err := d.operate(ctx, m, wasmabi.OpOptions, nil, func(b []byte) error { return wasmabi.DecodeOptions(b, &options) })
	if err != nil {
		return nil, fmt.Errorf("list the knobs of %s: %w", d.desc.Name, err)
	}
	return knobs(m.Host.Manifest().Name, options.Knobs)
}

// Read implements mechanisms.Driver.
func (d *Driver) Read(ctx context.Context, knob string) (mechanisms.Value, error) {
	var state wasmabi.Readings
	if err := d.ask(ctx, wasmabi.OpState, wasmabi.AppendNames(nil, &wasmabi.Names{Names: []string{knob}}), &state); err != nil {
		return mechanisms.Value{}, fmt.Errorf("read %s: %w", knob, err)
	}
	for i := range state.Readings {
		if state.Readings[i].Knob == knob {
			return value(&state.Readings[i])
		}
	}
	return mechanisms.Value{}, fmt.Errorf("read %s: the adapter says nothing of it", knob)
}

// Write implements mechanisms.Driver.
func (d *Driver) Write(ctx context.Context, knob string, v mechanisms.Value) error {
	return d.set(ctx, wasmabi.OpApply, knob, v)
}

// Restore implements mechanisms.Restorer: by op revert, or by apply where the module has no such operation.
func (d *Driver) Restore(ctx context.Context, knob string, v mechanisms.Value) error {
	err := d.set(ctx, wasmabi.OpRevert, knob, v)
	if isUnsupported(err) {
		return d.set(ctx, wasmabi.OpApply, knob, v)
	}
	return err
}

func (d *Driver) set(ctx context.Context, op wasmabi.Op, knob string, v mechanisms.Value) error {
	request := settings([]mechanisms.Setting{{Knob: knob, Value: v}})
	if err := d.ask(ctx, op, request, nil); err != nil {
		return fmt.Errorf("set %s to %s: %w", knob, v, err)
	}
	return nil
}

// Foretell implements mechanisms.Foreteller: by op plan, where the module has it.
func (d *Driver) Foretell(ctx context.Context, all []mechanisms.Setting) (map[string]mechanisms.Value, error) {
	var would wasmabi.Readings
	err := d.ask(ctx, wasmabi.OpPlan, settings(all), &would)
	if isUnsupported(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]mechanisms.Value{}
	for i := range would.Readings {
		v, err := value(&would.Readings[i])
		if err != nil {
			return nil, fmt.Errorf("foretell %s: %w", would.Readings[i].Knob, err)
		}
		out[would.Readings[i].Knob] = v
	}
	return out, nil
}

// Facts implements mechanisms.Reporter.
func (d *Driver) Facts(ctx context.Context) map[string]string {
	d.mu.RLock()
	m, told, fresh := d.module, d.told, d.config.Now().Before(d.until)
	d.mu.RUnlock()
	if fresh {
		return told
	}
	out := map[string]string{"adapter": m.Host.Manifest().Name, "version": m.Host.Manifest().Version, "digest": m.Host.Digest()}
	var state wasmabi.Readings
	if d.ask(ctx, wasmabi.OpState, wasmabi.AppendNames(nil, &wasmabi.Names{}), &state) != nil {
		return out
	}
	for _, f := range state.Facts {
		if _, ours := out[f.Name]; !ours {
			out[f.Name] = f.Value
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.module == m {
		d.told, d.until = out, d.config.Now().Add(factsFresh)
	}
	return out
}

// Order implements mechanisms.Driver: as the adapter lists its knobs.
func (d *Driver) Order(_ map[string]mechanisms.Value, all []mechanisms.Setting) []mechanisms.Setting {
	d.mu.RLock()
	place := make(map[string]int, len(d.order))
	for i, name := range d.order {
		place[name] = i
	}
	d.mu.RUnlock()
	out := slices.Clone(all)
	slices.SortStableFunc(out, func(a, b mechanisms.Setting) int { return place[a.Knob] - place[b.Knob] })
	return out
}

// ask runs an operation of the module that is in place. A response goes to into, or has to be empty.
func (d *Driver) ask(ctx context.Context, op wasmabi.Op, request []byte, into *wasmabi.Readings) error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.operate(ctx, d.module, op, request, func(b []byte) error {
		if into != nil {
			return wasmabi.DecodeReadings(b, into)
		}
		if len(b) > 0 {
			return errors.New("the adapter answers where nothing is to be said")
		}
		return nil
	})
}

// maxRecorded bounds what is kept of one operation.
const maxRecorded = 256 << 10

// operate runs one operation in a session of its own.
func (d *Driver) operate(ctx context.Context, m *Module, op wasmabi.Op, request []byte, decode func([]byte) error) (err error) {
	c := host.SessionConfig{Time: d.config.Now(), Seed: d.config.Seed(), Handles: m.Grant.Handles()}
	if d.config.Record != nil {
		r := record.NewRecorder(maxRecorded)
		c.Recorder = r
		defer func() { d.config.Record(r.Episode(), err) }()
	}
	return unavailable(m.Host.Operate(ctx, c, m.init(), op, request, decode))
}

func (m *Module) init() []byte {
	i := m.Init
	i.Capabilities = slices.Clone(m.Host.Manifest().Capabilities)
	for k := range i.Capabilities {
		i.Capabilities[k].Reason = ""
	}
	return wasmabi.AppendInit(nil, &i)
}
