package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/edgehold/edgehold/cmd/internal/bench/policy"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

const metricCount = 36

var metricNames = []string{"node_load1", "node_cpu_utilisation_ratio", "node_memory_utilisation_ratio", "node_pressure_cpu",
	"node_network_receive", "node_network_transmit", "node_disk_io_time", "node_thermal_zone_temp", "app_latency"}

// observation has the values that both sides decide on: more than a few are above the threshold.
func observation() *wasmabi.Observation {
	o := &wasmabi.Observation{Seq: 7, TimeNS: 1_700_000_000_123_456_789}
	for n := range uint32(metricCount) {
		o.IDs, o.Values, o.AgesMS = append(o.IDs, n), append(o.Values, float64(n)*1.37+0.25), append(o.AgesMS, n)
	}
	return o
}

// policyAgainstNative times a decision from the host's values to the host's plan: encode, call, decode. Theirs is the
// same logic as a Go function, behind a flat codec that carries names, as a process without WebAssembly would have it.
func policyAgainstNative(ctx context.Context) (Measured, error) {
	p, err := prepareGo(ctx, host.Config{})
	if err != nil {
		return Measured{}, err
	}
	defer p.close(ctx)
	s, err := p.Begin(ctx, host.SessionConfig{})
	if err != nil {
		return Measured{}, err
	}
	defer s.Close()

	o := observation()
	var request []byte
	var plan wasmabi.Plan
	ours := func(n int) {
		for range n {
			request = wasmabi.AppendObservation(request[:0], o)
			response, err := s.Call(ctx, wasmabi.OpPlan, request)
			must(err)
			must(wasmabi.DecodePlan(response, &plan))
		}
	}
	f := newFlat(o)
	theirs := func(n int) {
		for range n {
			f.decide()
		}
	}
	ours(1)
	theirs(1)
	if len(plan.Values) != len(f.plan) || plan.Values[0] != f.plan[0].Value {
		return Measured{}, fmt.Errorf("the two sides decide differently: %v and %v", plan.Values, f.plan)
	}
	return compare(ours, theirs), nil
}

// flat is a native policy behind a flat codec: little endian, strings with their length, no tags.
type flat struct {
	in, read       []policy.Metric
	request, reply []byte
	values         []float64
	actions, plan  []policy.Action
}

func newFlat(o *wasmabi.Observation) *flat {
	f := &flat{}
	for n, v := range o.Values {
		f.in = append(f.in, policy.Metric{Name: metricNames[n%len(metricNames)], Value: v, Age: o.AgesMS[n]})
	}
	return f
}

func (f *flat) decide() {
	f.request = appendMetrics(f.request[:0], f.in)
	f.read = readMetrics(f.request, f.read[:0])
	f.values = f.values[:0]
	for _, m := range f.read {
		f.values = append(f.values, m.Value)
	}
	f.actions = policy.Decide(f.values, f.actions[:0])
	f.reply = appendActions(f.reply[:0], f.actions)
	f.plan = readActions(f.reply, f.plan[:0])
}

var little = binary.LittleEndian

func appendMetrics(b []byte, list []policy.Metric) []byte {
	b = little.AppendUint32(b, uint32(len(list)))
	for _, m := range list {
		b = little.AppendUint16(b, uint16(len(m.Name)))
		b = append(b, m.Name...)
		b = little.AppendUint64(b, math.Float64bits(m.Value))
		b = little.AppendUint32(b, m.Age)
	}
	return b
}

func readMetrics(b []byte, list []policy.Metric) []policy.Metric {
	n := little.Uint32(b)
	b = b[4:]
	for range n {
		length := int(little.Uint16(b))
		name := unsafe.String(&b[2], length)
		b = b[2+length:]
		list = append(list, policy.Metric{Name: name, Value: math.Float64frombits(little.Uint64(b)), Age: little.Uint32(b[8:])})
		b = b[12:]
	}
	return list
}

func appendActions(b []byte, list []policy.Action) []byte {
	b = little.AppendUint32(b, uint32(len(list)))
	for _, a := range list {
		b = little.AppendUint32(b, a.Target)
		b = little.AppendUint64(b, math.Float64bits(a.Value))
	}
	return b
}

func readActions(b []byte, list []policy.Action) []policy.Action {
	n := little.Uint32(b)
	b = b[4:]
	for range n {
		list = append(list, policy.Action{Target: little.Uint32(b), Value: math.Float64frombits(little.Uint64(b[4:]))})
		b = b[12:]
	}
	return list
}
