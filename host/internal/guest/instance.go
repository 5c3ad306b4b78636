package guest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/edgehold/edgehold/host/internal/image"
	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/wasmabi"
)

// Program is a frozen module ready to be instantiated.
type Program struct {
	Linker      *Linker
	Compiled    wazero.CompiledModule
	Image       *image.Image
	Window      wasmabi.Window
	Globals     []Global // every mutable global of the guest
	MemoryLimit uint64   // bytes
	StackBytes  uint32
	Limits      Limits
	// Exports are the functions that a host may call of an Extism plugin, by name. A guest of the ABI has none: it is nil.
	Exports []string
	Plugin  bool // an Extism plugin
}

// Global is a mutable global that the rewriter exported, and its frozen value.
type Global struct {
	Export string
	Value  uint64
}

// Instance is one instance of a program. It serves one call at a time.
type Instance struct {
	program *Program
	module  api.Module
	entry   api.Function
	memory  *image.Memory
	globals []restorable
	scope   scope
	stack   [2]uint64 // parameters and result of the entry point

	meter     meter
	clock     clock
	random    rand.PCG
	handles   []Handle
	observer  Observer
	log       logbook
	hostCalls uint32
	dirty     bool
	timed     bool  // whether the next call's duration is wanted
	begun     int64 // of a timed call
	took      int64
	kept      kept
	plugin    *plugin // nil for a guest of the ABI
}

type restorable struct {
	global api.MutableGlobal
	value  uint64
}

// anonymous instances never clash by name; the image has been initialised already, so nothing is started.
var anonymous = wazero.NewModuleConfig().WithName("").WithStartFunctions()

// Instantiate makes an instance that is in the frozen state.
func (p *Program) Instantiate(ctx context.Context) (*Instance, error) {
	i, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.bind(); err != nil {
		return nil, errors.Join(err, i.Close(ctx))
	}
	return i, nil
}

// open maps the memory and creates the module instance.
func (p *Program) open(ctx context.Context) (*Instance, error) {
	memory, err := p.Image.Memory(p.MemoryLimit)
	if err != nil {
		return nil, err
	}
	i := &Instance{program: p, memory: memory}
	i.scope.Instance = i
	if p.Plugin {
		i.plugin = newPlugin(p)
	}
	i.Enter(World{})
	i.log.start(p.Limits.LogBytes)
	allocate := experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return memory })
	scope := experimental.WithMemoryAllocator(&i.scope, allocate)
	if i.module, err = p.Linker.runtime.InstantiateModule(scope, p.Compiled, anonymous); err != nil {
		memory.Free()
		return nil, fmt.Errorf("instantiate: %w", err)
	}
	return i, nil
}

// bind looks up, once, everything that calls need.
func (i *Instance) bind() error {
	var err error
	if i.meter.fuel, err = i.mutableGlobal(rewrite.FuelGlobal); err != nil {
		return err
	}
	if i.meter.stack, err = i.mutableGlobal(rewrite.DepthGlobal); err != nil {
		return err
	}
	for _, g := range i.program.Globals {
		global, err := i.mutableGlobal(g.Export)
		if err != nil {
			return err
		}
		i.globals = append(i.globals, restorable{global, g.Value})
	}
	if i.plugin != nil {
		return nil
	}
	if i.entry = i.module.ExportedFunction(wasmabi.ExportCall); i.entry == nil {
		return fmt.Errorf("the module exports no function %s", wasmabi.ExportCall)
	}
	return i.checkWindow()
}

func (i *Instance) mutableGlobal(name string) (api.MutableGlobal, error) {
	g, ok := i.module.ExportedGlobal(name).(api.MutableGlobal)
	if !ok {
		return nil, fmt.Errorf("the rewritten module exports no mutable global %s", name)
	}
	return g, nil
}

func (i *Instance) checkWindow() error {
	w, size := i.program.Window, uint64(len(i.memory.Bytes()))
	if !within(w.RequestPtr, w.RequestCap, size) || !within(w.ResponsePtr, w.ResponseCap, size) {
		return fmt.Errorf("a window is outside the memory of %d bytes: %+v", size, w)
	}
	return nil
}

func within(ptr, length uint32, size uint64) bool { return uint64(ptr)+uint64(length) <= size }

// Enter gives the instance the world that its next calls see.
func (i *Instance) Enter(w World) {
	i.clock.set(w.Time)
	i.random.Seed(w.Seed, w.Seed^golden)
	i.handles, i.observer = w.Handles, w.Observer
	i.kept.drop()
}

// Call runs op. The response is the guest's own memory: copy it before anything else happens to the instance. After a
// fault the instance needs a Reset.
func (i *Instance) Call(ctx context.Context, op wasmabi.Op, request []byte) (wasmabi.Status, []byte, *Fault) {
	w := &i.program.Window
	if uint64(len(request)) > uint64(w.RequestCap) {
		i.meter.granted, i.took = int64(i.meter.fuel.Get()), 0 // nothing is spent
		return 0, nil, &Fault{Kind: KindRequest,
			Cause: fmt.Sprintf("the request of %d bytes does not fit the guest's window of %d", len(request), w.RequestCap)}
	}
	copy(i.memory.Bytes()[w.RequestPtr:], request)
	i.start(ctx)
	i.stack = [2]uint64{uint64(op), uint64(len(request))}
	if err := i.entry.CallWithStack(&i.scope, i.stack[:]); err != nil {
		i.finish()
		return 0, nil, i.faultOf(err)
	}
	i.finish()
	return i.response()
}

func (i *Instance) start(ctx context.Context) {
	l := &i.program.Limits
	i.meter.start(ctx, l)
	if i.timed {
		i.begun = now()
	}
	i.log.start(l.LogBytes)
	i.hostCalls = 0
	i.dirty = true
}

func (i *Instance) finish() {
	if i.timed {
		i.took = now() - i.begun
	}
	i.scope.finish()
	i.meter.caller = nil
}

// response reads what the guest left in its window, believing nothing.
func (i *Instance) response() (wasmabi.Status, []byte, *Fault) {
	status, n := wasmabi.Unpack(i.stack[0])
	w := &i.program.Window
	if n > w.ResponseCap || n > i.program.Limits.ResponseBytes {
		return 0, nil, &Fault{Kind: KindOutput, Cause: fmt.Sprintf("a response of %d bytes; its window has %d and the limit is %d",
			n, w.ResponseCap, i.program.Limits.ResponseBytes)}
	}
	return status, i.memory.Bytes()[w.ResponsePtr:][:n], nil
}

// Fuel returns what the last call spent.
func (i *Instance) Fuel() uint64 { return uint64(max(i.meter.spent(), 0)) }

// Time says whether the duration of calls is wanted. Reading the clock twice costs as much as half a small call.
func (i *Instance) Time(wanted bool) { i.timed = wanted }

// Took returns how long the last call that was timed ran.
func (i *Instance) Took() time.Duration { return time.Duration(i.took) }

// HostCalls returns how many host functions the last call used.
func (i *Instance) HostCalls() uint32 { return i.hostCalls }

// MemoryBytes returns the memory's size.
func (i *Instance) MemoryBytes() uint64 { return uint64(len(i.memory.Bytes())) }

// Log returns what the last call logged, and how many bytes of it were dropped.
func (i *Instance) Log() (lines []Line, dropped uint64) {
	if len(i.log.entries) == 0 {
		return nil, i.log.dropped
	}
	return i.log.lines(), i.log.dropped
}

// Dirty reports whether the instance was called since it was made or reset.
func (i *Instance) Dirty() bool { return i.dirty }

// Reset puts the instance back to the frozen state. It reports false when that can't be done and the instance has to
// be closed.
func (i *Instance) Reset() bool {
	if i.memory.Grew() || i.memory.Reset() != nil {
		return false
	}
	i.dirty = false
	i.meter.stack.Set(uint64(i.program.StackBytes))
	for _, g := range i.globals {
		g.global.Set(g.value)
	}
	i.handles, i.observer = nil, nil
	i.kept.drop()
	if i.plugin != nil {
		i.plugin.reset()
	}
	return true
}

// Close gives the instance up.
func (i *Instance) Close(ctx context.Context) error {
	err := i.module.Close(ctx)
	i.memory.Free()
	return err
}
