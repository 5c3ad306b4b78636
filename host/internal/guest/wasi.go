package guest

import (
	"encoding/binary"
	"fmt"

	"github.com/edgehold/edgehold/wasmabi"
)

// The WASI preview 1 functions that toolchains need, on the virtual clock and the seeded generator. There are no files,
// no arguments and no sockets. The numbers are those of the preview 1 witx document.

// Errno values.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoInval   = 28
	errnoNosys   = 52
)

const (
	stdout = 1
	stderr = 2
)

const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// maxVectors bounds the pieces of one write and the subscriptions of one poll.
const maxVectors = 1024

// wasiFunctions is what works of module wasi_snapshot_preview1, and what says no in a way of its own.
var wasiFunctions = map[string]function{
	"sched_yield":       errno(func(*scope, []uint64) uint64 { return errnoSuccess }),
	"proc_exit":         procExit,
	"args_get":          errno(func(*scope, []uint64) uint64 { return errnoSuccess }),
	"args_sizes_get":    errno(argsSizesGet),
	"environ_get":       errno(environGet),
	"environ_sizes_get": errno(environSizesGet),
	"clock_time_get":    errno(clockTimeGet),
	"fd_write":          errno(fdWrite),
	"random_get":        errno(randomGet),
	"poll_oneoff":       errno(pollOneoff),
	"fd_prestat_get":    errno(noDescriptor),
}

// errno makes a host function of one that returns its errno.
func errno(f func(*scope, []uint64) uint64) function {
	return func(s *scope, stack []uint64) {
		s.meter.charge(hostCallFuel)
		stack[0] = f(s, stack)
	}
}

func procExit(_ *scope, stack []uint64) {
	code := uint32(stack[0])
	panic(&Fault{Kind: KindTrap, Cause: fmt.Sprintf("the guest exited with code %d", code), exited: true, exitCode: code})
}

func (i *Instance) put32(ptr uint64, v uint32) { binary.LittleEndian.PutUint32(i.bytes(ptr, 4), v) }
func (i *Instance) put64(ptr uint64, v uint64) { binary.LittleEndian.PutUint64(i.bytes(ptr, 8), v) }

func argsSizesGet(s *scope, stack []uint64) uint64 {
	s.put32(stack[0], 0)
	s.put32(stack[1], 0)
	return errnoSuccess
}

// environment is what a guest's runtime reads while it is initialised. Go's collector would otherwise let the heap grow
// to its goal and die at the limit without having collected once.
func (i *Instance) environment() string {
	return fmt.Sprintf("GOMEMLIMIT=%d\x00", i.program.MemoryLimit/4*3)
}

func environSizesGet(s *scope, stack []uint64) uint64 {
	s.put32(stack[0], 1)
	s.put32(stack[1], uint32(len(s.environment())))
	return errnoSuccess
}

func environGet(s *scope, stack []uint64) uint64 {
	text := s.environment()
	s.put32(stack[0], uint32(stack[1]))
	copy(s.bytes(stack[1], uint64(len(text))), text)
	return errnoSuccess
}

func clockTimeGet(s *scope, stack []uint64) uint64 {
	now := uint64(s.clock.read())
	switch uint32(stack[0]) {
	case clockRealtime:
		now += uint64(s.clock.start)
	case clockMonotonic:
	default:
		return errnoInval
	}
	s.put64(stack[2], now)
	return errnoSuccess
}

// fdWrite sends standard output and error to the log. What the log has no room for counts as written: a guest that
// reports a failure must not fail for that.
func fdWrite(s *scope, stack []uint64) uint64 {
	level := wasmabi.LevelInfo
	switch int32(stack[0]) {
	case stdout:
	case stderr:
		level = wasmabi.LevelWarn
	default:
		return errnoBadf
	}
	count := uint32(stack[2])
	if count > maxVectors {
		return errnoInval
	}
	vectors := s.bytes(stack[1], uint64(count)*8)
	written := uint32(0)
	for ; len(vectors) > 0; vectors = vectors[8:] {
		ptr, n := binary.LittleEndian.Uint32(vectors), binary.LittleEndian.Uint32(vectors[4:])
		s.log.write(level, s.bytes(uint64(ptr), uint64(n)))
		written += n
		s.meter.charge(hostCallFuel)
	}
	s.put32(stack[3], written)
	return errnoSuccess
}

func randomGet(s *scope, stack []uint64) uint64 {
	b := s.bytes(stack[0], stack[1])
	if len(b) > maxRandom {
		return errnoInval
	}
	s.meter.charge(int64(len(b)))
	fill(&s.random, b)
	return errnoSuccess
}

// Layout of a subscription and of an event.
const (
	subscriptionSize = 48
	eventSize        = 32
	tagClock         = 0
	flagAbsolute     = 1
)

// pollOneoff answers clock subscriptions, by moving the clock; nothing else can ever become ready.
func pollOneoff(s *scope, stack []uint64) uint64 {
	count := uint32(stack[2])
	if count == 0 || count > maxVectors {
		return errnoInval
	}
	s.meter.charge(int64(count) * hostCallFuel)
	subscriptions := s.bytes(stack[0], uint64(count)*subscriptionSize)
	events := s.bytes(stack[1], uint64(count)*eventSize)
	wake, ready := s.earliest(subscriptions)
	if !ready {
		stop(KindTrap, "it waits for something that can not happen")
	}
	s.clock.sleep(wake)
	n := uint32(0)
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionSize:] {
		if left, ok := s.until(subscriptions); ok && left <= wake {
			event := events[n*eventSize:][:eventSize]
			clear(event)
			copy(event, subscriptions[:8]) // user data
			n++
		}
	}
	s.put32(stack[3], n)
	return errnoSuccess
}

// earliest returns how long it is until the first clock subscription is due.
func (i *Instance) earliest(subscriptions []byte) (wake int64, ok bool) {
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionSize:] {
		if left, isClock := i.until(subscriptions); isClock && (!ok || left < wake) {
			wake, ok = left, true
		}
	}
	return wake, ok
}

// until returns how long it is, on the virtual clock, until a subscription is due.
func (i *Instance) until(subscription []byte) (nanoseconds int64, ok bool) {
	if subscription[8] != tagClock {
		return 0, false
	}
	timeout := int64(binary.LittleEndian.Uint64(subscription[24:]))
	if binary.LittleEndian.Uint16(subscription[40:])&flagAbsolute != 0 {
		timeout -= i.clock.elapsed
		if binary.LittleEndian.Uint32(subscription[16:]) == clockRealtime {
			timeout -= i.clock.start
		}
	}
	return max(timeout, 0), true
}
