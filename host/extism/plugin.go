package extism

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// Options are what a plugin is run with beside its manifest. The zero value is useful.
type Options struct {
	Name      string            // for errors and logs; default "plugin"
	LogLevel  host.PluginLevel  // lines below are dropped; the zero value keeps all
	Transport http.RoundTripper // of its HTTP requests; default http.DefaultTransport
	Recorder  host.Recorder     // told of each instance; may be nil. Used by one instance at a time
	Now       func() time.Time  // what an instance's clock starts at; default time.Now
	Seed      uint64            // of an instance's randomness
}

// Plugin is a plugin that was made ready. Its methods may be used by several goroutines.
type Plugin struct {
	module   *host.Module
	options  Options
	settings []byte
	handles  []host.Handle
}

// Prepare makes a plugin ready on a runtime. What is not acceptable comes back as a *host.Refusal or an *Error.
func Prepare(ctx context.Context, r *host.Runtime, module []byte, m Manifest, o Options) (*Plugin, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = "plugin"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	prepared, err := r.PreparePlugin(ctx, module, host.PluginConfig{Name: o.Name, Limits: m.limits()})
	if err != nil {
		return nil, explain(err)
	}
	p := &Plugin{module: prepared, options: o}
	if err := p.grant(&m); err != nil {
		prepared.Close()
		return nil, err
	}
	return p, nil
}

// explain has a refusal say what is wrong with the module, not only why that matters.
func explain(err error) error {
	r, ok := errors.AsType[*host.Refusal](err)
	if !ok || r.Err == nil {
		return err
	}
	what := strings.TrimPrefix(r.Err.Error(), "check module: ")
	return &host.Refusal{Code: r.Code, Why: what + "; " + r.Why, Hint: r.Hint, Err: r.Err}
}

// grant gives the plugin what its manifest says.
func (p *Plugin) grant(m *Manifest) error {
	limits := p.module.Limits()
	settings := host.PluginSettings{Config: m.Config, LogLevel: p.options.LogLevel,
		VarBytes: uint32(orLimit(m.Memory.MaxVarBytes, int64(limits.VarBytes)))}
	var err error
	if p.settings, err = json.Marshal(settings); err != nil {
		return fmt.Errorf("encode the settings of %s: %w", p.options.Name, err)
	}
	if len(m.AllowedHosts) > 0 {
		most := orLimit(m.Memory.MaxHTTPResponseBytes, int64(limits.ResponseBytes))
		p.handles = []host.Handle{newWeb(m.AllowedHosts, most, p.options.Transport)}
	}
	return nil
}

// Module returns what the plugin runs as: its digest, limits and counters.
func (p *Plugin) Module() *host.Module { return p.module }

// Exports returns the names of the functions that can be called.
func (p *Plugin) Exports() []string { return p.module.Exports() }

// Close refuses new instances, and gives the plugin up when the last one is closed.
func (p *Plugin) Close() { p.module.Close() }

// Result is what a call gave.
type Result struct {
	Output   []byte
	Returned uint32 // by the function: zero if all was well, as a rule
	Fuel     uint64 // spent
}

// Call calls an export once, on an instance of its own.
func (p *Plugin) Call(ctx context.Context, export string, input []byte) (Result, error) {
	i, err := p.Begin(ctx)
	if err != nil {
		return Result{}, err
	}
	defer i.Close()
	output, err := i.Call(ctx, export, input)
	return Result{append([]byte(nil), output...), i.Returned(), i.Fuel()}, err
}

// Instance is one instance of a plugin. It keeps its memory and its variables from call to call, as a plugin of the Extism
// SDKs does, and is used by one goroutine at a time.
type Instance struct {
	plugin   *Plugin
	session  *host.Session
	returned uint32
}

// Begin takes an instance in exactly the state of a plugin that was just initialised.
func (p *Plugin) Begin(ctx context.Context) (*Instance, error) {
	s, err := p.module.Begin(ctx, host.SessionConfig{
		Time: p.options.Now(), Seed: p.options.Seed, Handles: p.handles, Recorder: p.options.Recorder,
	})
	if err != nil {
		return nil, err
	}
	if _, err := s.Call(ctx, wasmabi.OpInit, p.settings); err != nil {
		s.Close()
		return nil, err
	}
	return &Instance{plugin: p, session: s}, nil
}

// Call calls an export. The output is valid until the next Call or Close; it is there with an error too, if the plugin set
// both. An error is an *Error, a *host.CallError or host.ErrSessionOver: after a trap or a limit the instance is over.
func (i *Instance) Call(ctx context.Context, export string, input []byte) ([]byte, error) {
	op, ok := i.plugin.module.Export(export)
	i.returned = 1
	if !ok {
		return nil, i.plugin.unknown(export)
	}
	output, err := i.session.Call(ctx, op, input)
	i.returned = i.session.Returned()
	if err != nil {
		return i.session.Output(), err
	}
	return output, nil
}

func (p *Plugin) unknown(export string) error {
	return &Error{Attempt: "call " + export + " of " + p.options.Name, Code: "extism.export",
		Why: "the plugin exports no function of that name that can be called", Hint: "it exports " + strings.Join(p.Exports(), ", ")}
}

// Returned returns what the function of the last call returned; it is not zero if the call did not get to its end.
func (i *Instance) Returned() uint32 { return i.returned }

// Fuel returns what the last call spent.
func (i *Instance) Fuel() uint64 { return i.session.Fuel() }

// Close gives the instance up. It may be called twice.
func (i *Instance) Close() { i.session.Close() }
