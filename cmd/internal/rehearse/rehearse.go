package rehearse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/rehearse/report"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// MaxPasses bounds a rehearsal.
const MaxPasses = 1_000_000

// maxFailures ends the passes of a module that does nothing but fail.
const maxFailures = 100

// Options are what Run can vary.
type Options struct {
	Passes int           // 1 to MaxPasses
	Input  *report.Input // what every pass sees; made up when nil
}

// Run takes each module through the same passes, in turn, so that what else the machine does falls on all of them.
func Run(ctx context.Context, modules [][]byte, o Options) (*report.Report, error) {
	if o.Passes < 1 || o.Passes > MaxPasses {
		return nil, fmt.Errorf("rehearse: %d passes; 1 to %d are possible", o.Passes, MaxPasses)
	}
	r := &report.Report{Passes: o.Passes, Source: "made up"}
	if o.Input != nil {
		r.Source = o.Input.Source
	}
	var actors []*actor
	defer func() {
		for _, a := range actors {
			a.close()
		}
	}()
	for _, module := range modules {
		a, err := newActor(ctx, module, o.Input)
		if err != nil {
			return nil, err
		}
		actors = append(actors, a)
	}
	for n := range o.Passes {
		for _, a := range actors {
			if err := a.pass(ctx, n); err != nil {
				return nil, err
			}
		}
	}
	for _, a := range actors {
		r.Modules = append(r.Modules, a.report())
	}
	return r, nil
}

// actor is a module on its node.
type actor struct {
	world   *world
	dir     string
	runtime *host.Runtime
	module  *host.Module
	found   report.Module
	tallies map[wasmabi.Op]*tally
}

// tally holds what the calls of an operation cost.
type tally struct {
	fuel  []uint64
	took  []time.Duration
	bytes int
}

// newActor prepares a module as a node does that has never seen it.
func newActor(ctx context.Context, module []byte, input *report.Input) (a *actor, err error) {
	a = &actor{tallies: map[wasmabi.Op]*tally{}}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.dir, err = os.MkdirTemp("", "edgehold-rehearse-"); err != nil {
		return a, fmt.Errorf("make a folder for the compiler: %w", err)
	}
	if a.runtime, err = host.New(ctx, host.Config{CacheDir: a.dir}); err != nil {
		return a, err
	}
	began := time.Now()
	if a.module, err = a.runtime.Prepare(ctx, module); err != nil {
		return a, err
	}
	m := a.module.Manifest()
	if m.Kind != wasmabi.KindPolicy {
		return a, fmt.Errorf("%s is of kind %s, and only policies are taken through passes", m.Name, m.Kind)
	}
	a.found = report.Module{Name: m.Name, Version: m.Version, Digest: a.module.Digest(), SizeBytes: int64(len(module)), PrepareNS: int64(time.Since(began))}
	a.world = newWorld(m, input)
	return a, nil
}

func (a *actor) close() {
	if a.module != nil {
		a.module.Close()
	}
	if a.runtime != nil {
		_ = a.runtime.Close(context.Background())
	}
	_ = os.RemoveAll(a.dir)
}

// pass is one pass as an agent makes it. The error is that the rehearsal can't go on; a guest's failure is a finding.
func (a *actor) pass(ctx context.Context, n int) error {
	if a.found.Failures >= maxFailures {
		return nil
	}
	s, err := a.module.Begin(ctx, host.SessionConfig{Time: time.Unix(0, a.world.now), Seed: uint64(n)})
	if err != nil {
		return err
	}
	defer s.Close()
	observation := wasmabi.AppendObservation(nil, a.world.observation(n))
	err = a.episode(ctx, s, observation)
	var failed *host.CallError
	if errors.As(err, &failed) && ctx.Err() == nil {
		if a.found.Failures++; a.found.Failure == nil {
			a.found.Failure = &report.Failure{Pass: n, Op: failed.Op.String(), Code: failed.Code, Message: failed.Message, Stack: failed.Stack, Log: failed.Log}
		}
		return nil
	}
	return err
}

func (a *actor) episode(ctx context.Context, s *host.Session, observation []byte) error {
	if _, err := a.call(ctx, s, wasmabi.OpInit, wasmabi.AppendInit(nil, a.world.init)); err != nil {
		return err
	}
	answer, err := a.call(ctx, s, wasmabi.OpAnalyze, observation)
	if err != nil {
		return err
	}
	var analysis wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(answer, &analysis); err != nil {
		return fmt.Errorf("read what %s answered to analyze: %w", a.found.Name, err)
	}
	if analysis.Plan {
		a.found.Planned++
		if _, err := a.call(ctx, s, wasmabi.OpPlan, observation); err != nil {
			return err
		}
	}
	kept, err := a.call(ctx, s, wasmabi.OpSnapshot, nil)
	var failed *host.CallError
	if errors.As(err, &failed) && failed.Kind == host.Unsupported {
		return nil // it keeps nothing
	}
	if err == nil {
		a.world.init.Context = slices.Clone(kept)
	}
	return err
}

func (a *actor) call(ctx context.Context, s *host.Session, op wasmabi.Op, request []byte) ([]byte, error) {
	began := time.Now()
	response, err := s.Call(ctx, op, request)
	took := time.Since(began)
	if err != nil {
		return nil, err
	}
	t := a.tallies[op]
	if t == nil {
		t = &tally{}
		a.tallies[op] = t
	}
	t.fuel, t.took, t.bytes = append(t.fuel, s.Fuel()), append(t.took, took), max(t.bytes, len(response))
	return response, nil
}

// operations are those of a policy's pass, in their order.
var operations = []wasmabi.Op{wasmabi.OpInit, wasmabi.OpAnalyze, wasmabi.OpPlan, wasmabi.OpSnapshot}

func (a *actor) report() report.Module {
	a.found.MemoryBytes = a.module.Stats().MemoryBytes
	a.found.Operations = []report.Operation{}
	for _, op := range operations {
		t := a.tallies[op]
		if t == nil {
			continue
		}
		slices.Sort(t.fuel)
		slices.Sort(t.took)
		a.found.Operations = append(a.found.Operations, report.Operation{
			Op: op.String(), Calls: len(t.fuel), FuelP50: at(t.fuel, 0.5), FuelMax: t.fuel[len(t.fuel)-1],
			P50NS: int64(at(t.took, 0.5)), P99NS: int64(at(t.took, 0.99)), Bytes: t.bytes,
		})
	}
	return a.found
}

// at is the q-th quantile of sorted values.
func at[T any](sorted []T, q float64) T {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
