package guest

import (
	"bytes"
	"errors"
	"math"

	"github.com/edgehold/edgehold/wasmabi"
)

// hostFunctions is module edgehold1.
var hostFunctions = map[string]function{
	wasmabi.ImportCall:   hostCall,
	wasmabi.ImportLog:    hostLog,
	wasmabi.ImportNow:    hostNow,
	wasmabi.ImportRandom: hostRandom,
	wasmabi.ImportMetric: hostMetric,
	wasmabi.ImportYield:  func(s *scope, _ []uint64) { s.meter.yield() },
}

// Fuel that host functions cost, beside one unit for each byte they move in the guest's memory.
const hostCallFuel = 100

// Errors a Handle returns to say more than that it failed.
var (
	ErrDenied  = errors.New("not granted")
	ErrInvalid = errors.New("malformed request")
)

// count counts a call of a function in module edgehold1.
func (i *Instance) count() {
	i.hostCalls++
	if i.hostCalls > i.program.Limits.HostCalls {
		stop(KindHostCalls, "it made more than %d host calls", i.program.Limits.HostCalls)
	}
}

// enter counts a call and takes its fuel.
func (i *Instance) enter(bytes uint64) {
	i.count()
	i.meter.charge(hostCallFuel + int64(bytes))
}

// bytes returns a piece of the guest's memory. A pointer that leads outside is answered as hardware would.
func (i *Instance) bytes(ptr, length uint64) []byte {
	p, n := uint32(ptr), uint32(length)
	memory := i.memory.Bytes()
	if !within(p, n, uint64(len(memory))) {
		stop(KindTrap, "it passed %d bytes at %d, outside its memory of %d", n, p, len(memory))
	}
	return memory[p:][:n:n]
}

func hostCall(s *scope, stack []uint64) {
	i := s.Instance
	in, out := i.bytes(stack[2], stack[3]), i.bytes(stack[4], stack[5])
	i.count()
	status, n := i.answer(s, uint32(stack[0]), uint32(stack[1]), in, out)
	i.meter.charge(hostCallFuel + int64(len(in)+min(n, len(out))))
	stack[0] = wasmabi.Pack(status, uint32(n))
}

// answer performs a host call and returns the length of the whole result, which may be longer than out.
func (i *Instance) answer(s *scope, handle, op uint32, in, out []byte) (wasmabi.Status, int) {
	if !i.kept.matches(handle, op, in) {
		i.kept.drop()
		i.kept.status = i.perform(s, handle, op, in)
		if i.observer != nil {
			i.observer.HostCall(handle, op, in, i.kept.result, i.kept.status)
		}
	}
	n := len(i.kept.result)
	if n > len(out) {
		i.kept.keep(handle, op, in)
		return wasmabi.StatusMore, n
	}
	copy(out, i.kept.result)
	i.kept.drop()
	return i.kept.status, n
}

// perform asks the handle and leaves its result in kept.
func (i *Instance) perform(s *scope, handle, op uint32, in []byte) wasmabi.Status {
	if int64(handle) >= int64(len(i.handles)) {
		return wasmabi.StatusDenied
	}
	result, err := i.handles[handle].Call(s.callerContext(), op, in, i.kept.result[:0])
	switch {
	case err != nil:
		i.meter.checkDeadline() // the handle may have failed because time is up, and then so is the guest's
		return i.failed(err)
	case len(result) > int(i.program.Limits.ResponseBytes):
		return wasmabi.StatusTooLarge
	}
	i.kept.result = result
	return wasmabi.StatusOK
}

// failed leaves an Error message in kept and returns the status that goes with it.
func (i *Instance) failed(err error) wasmabi.Status {
	message := wasmabi.Error{Message: err.Error()}
	if coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err); ok {
		message.Code = coded.ErrorCode()
	}
	i.kept.result = wasmabi.AppendError(i.kept.result[:0], &message)
	switch {
	case errors.Is(err, ErrDenied):
		return wasmabi.StatusDenied
	case errors.Is(err, ErrInvalid):
		return wasmabi.StatusInvalid
	}
	return wasmabi.StatusHost
}

// kept is a result that did not fit the guest's buffer. The next host call collects it if it asks for the same thing;
// any other drops it.
type kept struct {
	result     []byte
	status     wasmabi.Status
	pending    bool
	handle, op uint32
	in         []byte
}

func (k *kept) keep(handle, op uint32, in []byte) {
	k.pending, k.handle, k.op = true, handle, op
	k.in = append(k.in[:0], in...)
}

func (k *kept) matches(handle, op uint32, in []byte) bool {
	return k.pending && k.handle == handle && k.op == op && bytes.Equal(k.in, in)
}

func (k *kept) drop() { k.pending, k.result, k.in = false, k.result[:0], k.in[:0] }

func hostLog(s *scope, stack []uint64) {
	text := s.bytes(stack[1], stack[2])
	s.enter(uint64(len(text)))
	s.log.add(min(wasmabi.Level(uint32(stack[0])), wasmabi.LevelError), text)
}

func hostNow(s *scope, stack []uint64) {
	s.enter(0)
	stack[0] = uint64(s.clock.start)
}

func hostRandom(s *scope, stack []uint64) {
	b := s.bytes(stack[0], stack[1])
	if len(b) > maxRandom {
		stop(KindTrap, "it asked for %d random bytes at once, more than %d", len(b), maxRandom)
	}
	s.enter(uint64(len(b)))
	fill(&s.random, b)
}

// maxRandom bounds one request for randomness, so that a host function stays short against a slice.
const maxRandom = 64 << 10

func hostMetric(s *scope, stack []uint64) {
	s.enter(8)
	if s.observer != nil {
		s.observer.Metric(uint32(stack[0]), math.Float64frombits(stack[1]))
	}
}
