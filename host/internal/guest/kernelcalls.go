package guest

import (
	"github.com/edgehold/edgehold/host/internal/kernel"
	"github.com/edgehold/edgehold/wasmabi"
)

// kernelFunctions is module extism:host/env.
var kernelFunctions = map[string]function{
	"alloc":          pure(kernelAlloc),
	"free":           pure(func(k *kernel.Kernel, stack []uint64) { k.Free(stack[0]) }),
	"length":         pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.Length(stack[0]) }),
	"length_unsafe":  pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.Length(stack[0]) }),
	"load_u8":        pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = uint64(k.LoadU8(stack[0])) }),
	"load_u64":       pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.LoadU64(stack[0]) }),
	"store_u8":       pure(func(k *kernel.Kernel, stack []uint64) { k.StoreU8(stack[0], uint8(stack[1])) }),
	"store_u64":      pure(func(k *kernel.Kernel, stack []uint64) { k.StoreU64(stack[0], stack[1]) }),
	"input_set":      pure(func(k *kernel.Kernel, stack []uint64) { k.SetInput(stack[0], stack[1]) }),
	"input_length":   pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.InputLength() }),
	"input_offset":   pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.InputOffset() }),
	"input_load_u8":  pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = uint64(k.InputU8(stack[0])) }),
	"input_load_u64": pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.InputU64(stack[0]) }),
	"output_set":     pure(func(k *kernel.Kernel, stack []uint64) { k.SetOutput(stack[0], stack[1]) }),
	"output_length":  pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.OutputLength() }),
	"output_offset":  pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.OutputOffset() }),
	"error_set":      pure(func(k *kernel.Kernel, stack []uint64) { k.SetError(stack[0]) }),
	"error_get":      pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.ErrorOffset() }),
	"memory_bytes":   pure(func(k *kernel.Kernel, stack []uint64) { stack[0] = k.Bytes() }),
	"reset":          kernelReset,

	"config_get":       configGet,
	"var_get":          varGet,
	"var_set":          varSet,
	"http_request":     httpRequest,
	"http_status_code": httpStatusCode,
	"http_headers":     httpHeaders,
	"get_log_level":    getLogLevel,
	"log_trace":        logAt(PluginTrace, wasmabi.LevelDebug),
	"log_debug":        logAt(PluginDebug, wasmabi.LevelDebug),
	"log_info":         logAt(PluginInfo, wasmabi.LevelInfo),
	"log_warn":         logAt(PluginWarn, wasmabi.LevelWarn),
	"log_error":        logAt(PluginError, wasmabi.LevelError),
}

// kernelFuel is what a function costs that only moves a few bytes: about what the crossing takes, in instructions. They are not
// counted as host calls, since plugins fetch their input eight bytes at a time.
const kernelFuel = 40

// pure makes a host function of one that only touches the kernel.
func pure(f func(*kernel.Kernel, []uint64)) function {
	return func(s *scope, stack []uint64) {
		s.meter.charge(kernelFuel)
		f(&s.plugin.kernel, stack)
		if s.plugin.kernel.Refused() {
			s.noRoom()
		}
	}
}

func kernelAlloc(k *kernel.Kernel, stack []uint64) { stack[0] = k.Alloc(stack[0]) }

func (i *Instance) noRoom() {
	stop(KindMemory, "it needed more than the %d bytes that it may share with the host", i.program.Limits.KernelBytes)
}

// kernelReset clears the kernel, which costs what it has.
func kernelReset(s *scope, _ []uint64) {
	s.meter.charge(kernelFuel + int64(s.plugin.kernel.Bytes()))
	s.plugin.kernel.Reset(nil)
}

// given is a block that the plugin hands over, freed once it was read; its bytes stay where they are until the next allocation.
func (i *Instance) given(offset uint64) []byte {
	b := i.plugin.kernel.Block(offset)
	i.meter.charge(int64(len(b)))
	i.plugin.kernel.Free(offset)
	return b
}

// give leaves bytes for the plugin and returns their offset.
func (i *Instance) give(b []byte) uint64 {
	i.meter.charge(int64(len(b)))
	offset := i.plugin.kernel.Write(b)
	if offset == 0 && len(b) > 0 {
		i.noRoom()
	}
	return offset
}

// ask counts a call of a function that reaches beyond the kernel.
func (i *Instance) ask(name string) {
	i.enter(0)
	if i.plugin.beginning {
		stop(KindTrap, "it called %s while it was initialised, when there is no configuration yet", name)
	}
}

func configGet(s *scope, stack []uint64) {
	s.ask("config_get")
	name := s.plugin.kernel.Block(stack[0])
	s.meter.charge(int64(len(name)))
	value, ok := s.plugin.settings.Config[string(name)]
	stack[0] = 0
	if ok {
		stack[0] = s.give([]byte(value))
	}
}

func varGet(s *scope, stack []uint64) {
	s.ask("var_get")
	value, ok := s.plugin.vars.Get(s.given(stack[0]))
	stack[0] = 0
	if ok {
		stack[0] = s.give(value)
	}
}

func varSet(s *scope, stack []uint64) {
	s.ask("var_set")
	limit := s.plugin.settings.VarBytes
	if limit == 0 {
		stop(KindTrap, "it set a variable; it was granted none")
	}
	name := s.given(stack[0])
	if stack[1] == 0 {
		s.plugin.vars.Delete(name)
		return
	}
	if !s.plugin.vars.Set(name, s.given(stack[1]), int(limit)) {
		stop(KindMemory, "its variables need more than %d bytes", limit)
	}
}

func getLogLevel(s *scope, stack []uint64) {
	s.meter.charge(kernelFuel)
	stack[0] = uint64(uint32(s.plugin.settings.LogLevel))
}

// logAt makes the function that logs at one level.
func logAt(level PluginLevel, kept wasmabi.Level) function {
	return func(s *scope, stack []uint64) {
		s.enter(0)
		text := s.given(stack[0])
		if level >= s.plugin.settings.LogLevel {
			s.log.add(kept, text)
		}
	}
}
