package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// boost is the first example, which exists in every language. The program runs in the repository.
const boost = "examples/01-cpu-boost"

// boostModule builds it and packs its manifest.
func boostModule(l toolchain.Language) ([]byte, error) {
	dir := boost
	if l != toolchain.Go && l != toolchain.TinyGo {
		dir = filepath.Join(boost, string(l))
	}
	module, err := pluginstest.Project(l, dir)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(boost, "policy.yaml"))
	if err != nil {
		return nil, err
	}
	manifest, err := plugins.ParseManifest(text)
	if err != nil {
		return nil, err
	}
	return plugins.Pack(module, manifest)
}

// policySize measures the module as it is uploaded, manifest included.
func policySize(l toolchain.Language) func(context.Context) (Measured, error) {
	return func(context.Context) (Measured, error) {
		module, err := boostModule(l)
		return Measured{Ours: float64(len(module)) / 1024, Unit: "KiB"}, err
	}
}

// policyCall measures a call, half of them analyze and half plan, with fuel and all other limits on.
func policyCall(l toolchain.Language) func(context.Context) (Measured, error) {
	return func(ctx context.Context) (Measured, error) {
		module, err := boostModule(l)
		if err != nil {
			return Measured{}, err
		}
		p, err := prepare(ctx, module, host.Config{})
		if err != nil {
			return Measured{}, err
		}
		defer p.close(ctx)
		s, err := p.Begin(ctx, host.SessionConfig{})
		if err != nil {
			return Measured{}, err
		}
		defer s.Close()
		if _, err := s.Call(ctx, wasmabi.OpInit, boostInit(p.Manifest())); err != nil {
			return Measured{}, err
		}
		request := wasmabi.AppendObservation(nil, &wasmabi.Observation{
			Seq: 1, TimeNS: 1_700_000_000_000_000_000, IDs: []uint32{0}, Values: []float64{0.95}, AgesMS: []uint32{10},
		})
		took := alone(func(n int) {
			for range n {
				for _, op := range []wasmabi.Op{wasmabi.OpAnalyze, wasmabi.OpPlan} {
					_, err := s.Call(ctx, op, request)
					must(err)
				}
			}
		})
		return Measured{Ours: took / 2 / 1000, Unit: "µs"}, nil
	}
}

// boostInit grants two knobs.
func boostInit(m *wasmabi.Manifest) []byte {
	i := wasmabi.NewInit(m)
	i.Mechanisms = []string{"CPUFrequency"}
	for _, name := range []string{"policy0/max_frequency", "policy4/max_frequency"} {
		i.Knobs = append(i.Knobs, wasmabi.KnobInfo{Name: name, Unit: "Hz", Kind: wasmabi.KnobNumber, Min: 8e8, Max: 3.5e9, Step: 1e5})
	}
	return wasmabi.AppendInit(nil, i)
}

// alone is one side of compare, in nanoseconds.
func alone(f func(n int)) float64 {
	return compare(f, func(n int) {
		for range n {
			cpuTime()
		}
	}).Ours
}
