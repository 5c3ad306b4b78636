package guest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgehold/edgehold/host/internal/kernel"
	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/wasmabi"
)

// plugin is what an instance of an Extism plugin has beside its memory.
type plugin struct {
	kernel    kernel.Kernel
	exports   []api.Function // of Program.Exports, looked up when first called: each costs a stack
	settings  Settings
	vars      kernel.Vars
	http      exchange
	code      uint32
	exited    bool
	failure   []byte // an encoded Error
	beginning bool   // nobody has configured it: it is being initialised
}

// Settings are what the host tells a plugin.
type Settings struct {
	Config   map[string]string // not changed while the plugin has it
	LogLevel PluginLevel
	VarBytes uint32 // at most the program's limit
	Web      Web
}

// PluginLevel is a log level in the numbers of the Extism project.
type PluginLevel int32

// The levels.
const (
	PluginTrace PluginLevel = iota
	PluginDebug
	PluginInfo
	PluginWarn
	PluginError
)

func newPlugin(p *Program) *plugin {
	g := &plugin{exports: make([]api.Function, len(p.Exports))}
	g.kernel.Limit(p.Limits.KernelBytes)
	g.reset()
	return g
}

func (g *plugin) reset() {
	g.kernel.Reset(nil)
	g.vars.Clear()
	g.settings = Settings{LogLevel: PluginInfo}
	g.http, g.code, g.exited = exchange{}, 0, false
}

// PluginExports returns the names of the functions of a plugin that a host can call, in order.
func PluginExports(compiled wazero.CompiledModule) []string {
	var names []string
	for name, f := range compiled.ExportedFunctions() {
		if len(f.ParamTypes()) == 0 && callableResult(f.ResultTypes()) && !strings.HasPrefix(name, rewrite.ReservedPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func callableResult(types []api.ValueType) bool {
	return len(types) == 0 || len(types) == 1 && (types[0] == api.ValueTypeI32 || types[0] == api.ValueTypeI64)
}

// pluginStart names what initialises a plugin, as the SDKs of the Extism project find it.
func (i *Instance) pluginStart() []string {
	const reactor, haskell, constructors = wasmabi.ExportInitialize, "hs_init", "__wasm_call_ctors"
	names := []string{rewrite.StartExport}
	has := func(name string) bool { return i.module.ExportedFunction(name) != nil }
	switch {
	case has(haskell):
		return append(names, reactor, haskell)
	case has(reactor):
		return append(names, reactor)
	}
	return append(names, constructors)
}

// Configure gives a plugin its settings. They hold until it is reset.
func (i *Instance) Configure(s Settings) {
	s.VarBytes = min(s.VarBytes, i.program.Limits.VarBytes)
	i.plugin.settings = s
}

// Vars returns a plugin's variables. They live until it is reset.
func (i *Instance) Vars() *kernel.Vars { return &i.plugin.vars }

// Returned returns what the last call of an export returned, and whether the plugin exited by itself.
func (i *Instance) Returned() (code uint32, exited bool) { return i.plugin.code, i.plugin.exited }

// Output returns the output of the last call of an export, which is there even if the call ended with an error.
func (i *Instance) Output() []byte { return i.plugin.kernel.Output() }

// Idle makes the account of a call that needs nothing of the plugin.
func (i *Instance) Idle() {
	i.meter.granted, i.took, i.hostCalls = int64(i.meter.fuel.Get()), 0, 0
	i.log.start(i.program.Limits.LogBytes)
}

// CallExport calls the export with that index. The response is its output, or with StatusGuest the error that it set, and
// valid until anything else happens to the instance. After a fault the instance needs a Reset.
func (i *Instance) CallExport(ctx context.Context, export int, input []byte) (wasmabi.Status, []byte, *Fault) {
	g := i.plugin
	g.code, g.exited = 1, false
	if !g.kernel.Reset(input) {
		i.Idle()
		return 0, nil, &Fault{Kind: KindRequest, Cause: "the input does not fit the memory that the plugin shares with the host"}
	}
	f, fault := i.export(export)
	if fault != nil {
		return 0, nil, fault
	}
	i.start(ctx)
	i.stack[0] = 0
	err := f.CallWithStack(&i.scope, i.stack[:])
	i.finish()
	if err != nil {
		if fault := i.faultOf(err); !g.leave(fault) {
			return 0, nil, fault
		}
	} else {
		g.code = uint32(i.stack[0])
	}
	return i.pluginAnswer()
}

func (i *Instance) export(at int) (api.Function, *Fault) {
	g := i.plugin
	if at < 0 || at >= len(g.exports) {
		i.Idle()
		return nil, &Fault{Kind: KindUnsupported, Cause: "the plugin does not export it"}
	}
	if g.exports[at] == nil {
		g.exports[at] = i.module.ExportedFunction(i.program.Exports[at])
	}
	return g.exports[at], nil
}

// leave takes note of an exit. It reports whether the fault is none: a command that has done its work exits with 0.
func (g *plugin) leave(f *Fault) bool {
	if !f.exited {
		return false
	}
	g.code, g.exited = f.exitCode, true
	return f.exitCode == 0
}

// pluginAnswer reads what the plugin left in the kernel, believing nothing.
func (i *Instance) pluginAnswer() (wasmabi.Status, []byte, *Fault) {
	g := i.plugin
	limit := int(i.program.Limits.ResponseBytes)
	if text := g.kernel.Failure(); len(text) > 0 {
		e := wasmabi.Error{Message: strings.ToValidUTF8(string(text[:min(len(text), limit, wasmabi.MaxText)]), "?")}
		g.failure = wasmabi.AppendError(g.failure[:0], &e)
		return wasmabi.StatusGuest, g.failure, nil
	}
	output := g.kernel.Output()
	if len(output) > limit {
		return 0, nil, &Fault{Kind: KindOutput, Cause: fmt.Sprintf("an output of %d bytes; the limit is %d", len(output), limit)}
	}
	return wasmabi.StatusOK, output, nil
}
