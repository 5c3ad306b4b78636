package main

import (
	"context"
	"math"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// stopping is how long the runtime waits, each time the garbage collector stops the world, until every processor stands.
const stopping = "/sched/pauses/stopping/gc:seconds"

const collections = 60

// gcStall measures what a guest adds to that wait over a native loop: the runtime can interrupt the loop anywhere, but
// the guest only when it yields.
func gcStall(ctx context.Context) (Measured, error) {
	p, err := prepare(ctx, loopGuest(), host.Config{Limits: generous})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	s, err := p.Begin(ctx, host.SessionConfig{})
	if err != nil {
		return Measured{}, err
	}
	defer s.Close()
	guest := stall(func() {
		if _, err := s.Call(ctx, wasmabi.OpPlan, nil); err != nil {
			panic(err)
		}
	})
	native := stall(func() {
		for n := range uint64(turns) {
			sink.Store(sink.Load()*0x5bd1e995 ^ n)
		}
	})
	return Measured{Ours: max(guest-native, 0), Theirs: native, Unit: "ms"}, nil
}

var sink atomic.Uint64

// stall returns, in milliseconds, the 90th percentile of the wait while work runs on another goroutine.
func stall(work func()) float64 {
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			work()
		}
	}()
	before := readStopping()
	for range collections {
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	after := readStopping()
	stop.Store(true)
	<-done
	return histogramQuantile(before, after, 0.9) * 1e3
}

func readStopping() *metrics.Float64Histogram {
	s := []metrics.Sample{{Name: stopping}}
	metrics.Read(s)
	return s[0].Value.Float64Histogram()
}

// histogramQuantile returns an upper bound of the quantile of what was added between two readings.
func histogramQuantile(before, after *metrics.Float64Histogram, q float64) float64 {
	total := uint64(0)
	for n := range after.Counts {
		total += after.Counts[n] - before.Counts[n]
	}
	seen := uint64(0)
	for n := range after.Counts {
		seen += after.Counts[n] - before.Counts[n]
		if float64(seen) >= q*float64(total) && !math.IsInf(after.Buckets[n+1], 1) {
			return after.Buckets[n+1]
		}
	}
	return 0
}
