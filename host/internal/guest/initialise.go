package guest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/wasmabi"
)

// State is what an initialised instance consists of.
type State struct {
	Memory  []byte
	Globals []uint64 // all of them, imported ones first
	Window  wasmabi.Window
}

// Initialise instantiates a module that was never frozen, runs its start functions under the program's limits, and
// returns the state they leave.
func (p *Program) Initialise(ctx context.Context, w World) (*State, error) {
	i, err := p.initialised(ctx, w)
	if err != nil {
		return nil, err
	}
	state, err := i.state()
	return state, errors.Join(err, i.Close(ctx))
}

func (p *Program) initialised(ctx context.Context, w World) (*Instance, error) {
	if err := p.checkMemory(); err != nil {
		return nil, err
	}
	i, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	err = i.initialise(ctx, w)
	if err == nil {
		return i, nil
	}
	return nil, errors.Join(err, i.Close(ctx))
}

// checkMemory refuses what the engine would not take no for: a memory larger than its limit from the start.
func (p *Program) checkMemory() error {
	const pageBytes = 65536
	for _, m := range p.Compiled.ExportedMemories() {
		if bytes := uint64(m.Min()) * pageBytes; bytes > p.MemoryLimit {
			return &Fault{Kind: KindMemory, Cause: fmt.Sprintf("it starts with %d bytes of memory, more than its %d", bytes, p.MemoryLimit)}
		}
	}
	return nil
}

func (i *Instance) initialise(ctx context.Context, w World) error {
	i.Enter(w)
	if err := i.bind(); err != nil {
		return err
	}
	for _, name := range i.startFunctions() {
		if f := i.module.ExportedFunction(name); f != nil {
			if _, err := i.run(ctx, f); err != nil {
				return err
			}
		}
	}
	if i.plugin != nil {
		return nil
	}
	return i.readWindow(ctx)
}

func (i *Instance) startFunctions() []string {
	if i.plugin != nil {
		i.plugin.beginning = true
		return i.pluginStart()
	}
	return []string{rewrite.StartExport, wasmabi.ExportInitialize}
}

// run calls a function, with zeroes for its parameters, under the program's limits.
func (i *Instance) run(ctx context.Context, f api.Function) (uint64, error) {
	i.start(ctx)
	defer i.finish()
	var stack [2]uint64
	if err := f.CallWithStack(&i.scope, stack[:]); err != nil {
		return 0, i.faultOf(err)
	}
	return stack[0], nil
}

// readWindow asks the guest where its windows are, the one time that anybody asks.
func (i *Instance) readWindow(ctx context.Context) error {
	f := i.module.ExportedFunction(wasmabi.ExportWindow)
	if f == nil {
		return fmt.Errorf("the module exports no function %s", wasmabi.ExportWindow)
	}
	address, err := i.run(ctx, f)
	if err != nil {
		return err
	}
	memory := i.memory.Bytes()
	if !within(uint32(address), wasmabi.WindowSize, uint64(len(memory))) {
		return fmt.Errorf("%s returned %d, outside the memory of %d bytes", wasmabi.ExportWindow, uint32(address), len(memory))
	}
	i.program.Window, _ = wasmabi.ParseWindow(memory[uint32(address):])
	return i.checkWindow()
}

func (i *Instance) state() (*State, error) {
	m, ok := i.module.(experimental.InternalModule)
	if !ok {
		return nil, errors.New("the engine does not show its globals")
	}
	s := &State{Memory: slices.Clone(i.memory.Bytes()), Window: i.program.Window}
	for k := range m.NumGlobal() {
		s.Globals = append(s.Globals, m.Global(k).Get())
	}
	return s, nil
}
