package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

const (
	deadline        = 10 * time.Millisecond
	deadlineCalls   = 100
	deadlineBatches = 4
)

// overrunLoop measures how long after its deadline a loop without end is stopped.
func overrunLoop(ctx context.Context) (Measured, error) {
	return overrun(ctx, guestModule(nil, nil, asm([]byte{opLoop, noResult, opBr, 0, opEnd}, i64c(0))))
}

// overrunTree does so for calls that branch without any loop.
func overrunTree(ctx context.Context) (Measured, error) {
	const depth = 40
	var fns []fn
	node := signature{[]byte{i32}, []byte{i64}}
	// Each function calls the next one twice; the functions come after the three of the ABI.
	next := func(n int) []byte { return asm(get(0), call(byte(3+n))) }
	for n := range depth {
		body := i64c(1)
		if n < depth-1 {
			body = asm(next(n+1), next(n+1), []byte{opI64Add})
		}
		fns = append(fns, fn{signature: node, body: body})
	}
	return overrun(ctx, guestModuleWith(nil, nil, next(0), fns))
}

func overrun(ctx context.Context, guest []byte) (Measured, error) {
	p, err := prepare(ctx, guest, host.Config{Limits: host.Limits{Fuel: 1 << 50, Deadline: deadline}})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	// On a busy machine the worst of a hundred calls is one that did not have the processor. The batch that was disturbed
	// least, judging by the native loop, says most about us.
	quietest := Measured{Theirs: math.Inf(1)}
	for range deadlineBatches {
		m, err := overrunBatch(ctx, p)
		if err != nil {
			return Measured{}, err
		}
		if m.Theirs < quietest.Theirs {
			quietest = m
		}
	}
	return quietest, nil
}

func overrunBatch(ctx context.Context, p *prepared) (Measured, error) {
	var late, native []time.Duration
	for range deadlineCalls {
		took, err := timedOut(ctx, p)
		if err != nil {
			return Measured{}, err
		}
		late, native = append(late, took-deadline), append(native, watched()-deadline)
	}
	ours, theirs := float64(quantile(late, 0.99))/1e6, float64(quantile(native, 0.99))/1e6
	return Measured{Ours: max(ours-theirs, 0), Theirs: theirs, Unit: "ms"}, nil
}

// watched is a native loop that does nothing but look at the clock: how late it is, the machine is.
func watched() time.Duration {
	start := time.Now()
	for time.Since(start) < deadline {
	}
	return time.Since(start)
}

func timedOut(ctx context.Context, p *prepared) (time.Duration, error) {
	s, err := p.Begin(ctx, host.SessionConfig{})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	start := time.Now()
	_, err = s.Call(ctx, wasmabi.OpAnalyze, nil)
	took := time.Since(start)
	if e, ok := errors.AsType[*host.CallError](err); !ok || e.Kind != host.Deadline {
		return 0, fmt.Errorf("the guest was not stopped by its deadline: %w", err)
	}
	return took, nil
}
