//go:build wasip1

// The reference guest: a policy in plain Go on the ABI alone, with operations beside the usual ones that misbehave as
// real Go programs do. Built by tests with GOOS=wasip1 -buildmode=c-shared.
package main

import (
	"math/rand/v2"
	"os"
	"runtime"
	"time"
	"unsafe"

	"github.com/edgehold/edgehold/wasmabi"
)

const (
	opEcho       = 100 // the first 200 bytes of the request
	opPanic      = 101 // index out of range
	opLoop       = 102
	opRecurse    = 103
	opAllocate   = 104
	opClock      = 105 // realtime and monotonic, 16 bytes
	opRandom     = 106 // 16 bytes
	opSleep      = 107 // an hour
	opGoroutines = 108 // a sum over a channel
	opExit       = 109
	opLog        = 110 // the request, through edgehold1.log
	opCount      = 111 // calls of this operation on this instance
	opGuestError = 112
	opCollect    = 113 // garbage collection
	opFlood      = 114 // standard error, for ever
	opDeadlock   = 115
	opHostCall   = 116 // request: handle, op, capacity (4 bytes each), input; response: status, length, bytes
)

var (
	request  [wasmabi.DefaultRequestWindow]byte
	response [wasmabi.DefaultResponseWindow]byte
	window   [4]uint32
	count    byte
	keep     [][]byte
	state    []byte

	observation wasmabi.Observation
	analysis    wasmabi.Analysis
	plan        wasmabi.Plan
)

//go:wasmexport edgehold_abi_v1
func marker() {}

//go:wasmexport edgehold_window
func describeWindow() uint32 {
	window = [4]uint32{address(request[:]), uint32(len(request)), address(response[:]), uint32(len(response))}
	return uint32(uintptr(unsafe.Pointer(&window)))
}

func address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

//go:wasmimport edgehold1 log
func hostLog(level uint32, text unsafe.Pointer, length uint32)

//go:wasmimport edgehold1 call
func hostCall(handle, op uint32, in unsafe.Pointer, inLen uint32, out unsafe.Pointer, outCap uint32) uint64

//go:wasmexport edgehold_call
func call(op, length uint32) uint64 {
	in := request[:length]
	switch wasmabi.Op(op) {
	case wasmabi.OpInit:
		state = append(state[:0], in...)
		return wasmabi.Pack(wasmabi.StatusOK, 0)
	case wasmabi.OpSnapshot:
		return ok(copy(response[:], state))
	case wasmabi.OpAnalyze:
		return analyze(in)
	case wasmabi.OpPlan:
		return decide(in)
	case wasmabi.OpHealth:
		return ok(0)
	}
	return misbehave(op, in)
}

func ok(n int) uint64 { return wasmabi.Pack(wasmabi.StatusOK, uint32(n)) }

func analyze(in []byte) uint64 {
	if wasmabi.DecodeObservation(in, &observation) != nil {
		return wasmabi.Pack(wasmabi.StatusInvalid, 0)
	}
	sum := 0.0
	for _, v := range observation.Values {
		sum += v
	}
	analysis.Seq = observation.Seq
	analysis.Plan = sum > float64(len(observation.Values))/2
	return ok(len(wasmabi.AppendAnalysis(response[:0], &analysis)))
}

func decide(in []byte) uint64 {
	if wasmabi.DecodeObservation(in, &observation) != nil {
		return wasmabi.Pack(wasmabi.StatusInvalid, 0)
	}
	Decide(&observation, &plan)
	return ok(len(wasmabi.AppendPlan(response[:0], &plan)))
}

func misbehave(op uint32, in []byte) uint64 {
	switch op {
	case opEcho:
		return ok(copy(response[:200], in))
	case opPanic:
		return ok(int(response[len(in)+len(response)]))
	case opLoop:
		for {
			count++
		}
	case opRecurse:
		return ok(int(recurse(in, 1) & 1))
	case opAllocate:
		for {
			keep = append(keep, make([]byte, 1<<16))
		}
	case opClock:
		return clock()
	case opRandom:
		return ok(len(appendUint64(appendUint64(response[:0], rand.Uint64()), rand.Uint64())))
	case opSleep:
		t := time.Now()
		time.Sleep(time.Hour)
		return ok(len(appendUint64(response[:0], uint64(time.Since(t)))))
	case opGoroutines:
		return goroutines()
	case opExit:
		os.Exit(7)
	case opLog:
		hostLog(uint32(wasmabi.LevelInfo), unsafe.Pointer(&request), uint32(len(in)))
		return ok(0)
	case opCount:
		count++
		response[0] = count
		return ok(1)
	case opGuestError:
		e := wasmabi.Error{Code: "reference.sulks", Message: "it does not want to"}
		return wasmabi.Pack(wasmabi.StatusGuest, uint32(len(wasmabi.AppendError(response[:0], &e))))
	case opCollect:
		runtime.GC()
		return ok(0)
	case opFlood:
		for {
			println("flood")
		}
	case opDeadlock:
		select {}
	case opHostCall:
		return relay(in)
	}
	return wasmabi.Pack(wasmabi.StatusUnsupported, 0)
}

//go:noinline
func recurse(in []byte, n int) int {
	if n > 1<<30+len(in) {
		return n
	}
	return recurse(in, n+1) + recurse(in, n+2)
}

func clock() uint64 {
	t := time.Now()
	return ok(len(appendUint64(appendUint64(response[:0], uint64(t.UnixNano())), uint64(time.Since(t)))))
}

func goroutines() uint64 {
	c := make(chan byte)
	for n := range 8 {
		go func() { c <- byte(n) }()
	}
	response[0] = 0
	for range 8 {
		response[0] += <-c
	}
	return ok(1)
}

func relay(in []byte) uint64 {
	out := response[8 : 8+uint32At(in, 8)]
	data := in[12:]
	p := unsafe.Pointer(unsafe.SliceData(data))
	status, n := wasmabi.Unpack(hostCall(uint32At(in, 0), uint32At(in, 4), p, uint32(len(data)), unsafe.Pointer(unsafe.SliceData(out)), uint32(len(out))))
	appendUint64(response[:0], uint64(status)|uint64(n)<<32)
	return ok(8 + min(int(n), len(out)))
}

func uint32At(b []byte, i int) uint32 {
	return uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24
}

func appendUint64(b []byte, v uint64) []byte {
	for range 8 {
		b = append(b, byte(v))
		v >>= 8
	}
	return b
}

func main() {}
