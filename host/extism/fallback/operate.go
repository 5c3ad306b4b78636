package fallback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism/helper"
	"github.com/edgehold/edgehold/wasmabi"
)

// Operate runs one operation on a fresh instance, after the export initialize where there is one. It is what host.Module.Operate
// is, but for what the session is told: there are no handles, and nothing is recorded.
func (p *Plugin) Operate(ctx context.Context, _ host.SessionConfig, init []byte, op wasmabi.Op, request []byte, use func(response []byte) error) error {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return &host.CallError{Policy: p.manifest.Name, Op: op, Kind: host.Deadline, Code: "call.deadline", Message: "an operation before it still runs"}
	}
	defer func() { <-p.turn }()
	began := time.Now()
	response, err := p.operate(ctx, init, op, request)
	if ended, late := died(err); ended && !late && ctx.Err() == nil { // somebody may have ended it; what it is told is the same the second time
		response, err = p.operate(ctx, init, op, request)
	}
	err = p.explain(op, err)
	p.count(began, len(request), len(response), err)
	if err != nil {
		return err
	}
	return use(response)
}

// exchange says which export an operation is, and how its messages become documents.
func (p *Plugin) exchange(op wasmabi.Op, request []byte) (export string, document []byte, read func([]byte) ([]byte, error), err error) {
	d := &p.documents
	nothing := func([]byte) ([]byte, error) { return nil, nil }
	switch op {
	case wasmabi.OpOptions:
		return "options", nil, d.Options, nil
	case wasmabi.OpState:
		document, err = d.Knobs(request)
		return "state", document, d.Readings, err
	case wasmabi.OpPlan:
		document, err = d.Settings(request)
		return "plan", document, d.Readings, err
	case wasmabi.OpApply:
		document, err = d.Settings(request)
		return "apply", document, nothing, err
	case wasmabi.OpRevert:
		document, err = d.Settings(request)
		return "revert", document, nothing, err
	case wasmabi.OpHealth:
		return "health", nil, nothing, nil
	}
	return "", nil, nil, fmt.Errorf("operation %s", op)
}

func (p *Plugin) operate(ctx context.Context, init []byte, op wasmabi.Op, request []byte) ([]byte, error) {
	if err := p.documents.Open(init); err != nil {
		return nil, err
	}
	client, err := p.running(ctx, p.documents.Config())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.limits.Deadline)
	defer cancel()
	fresh := true
	if slices.Contains(p.exports, "initialize") {
		if _, err := p.call(ctx, client, "initialize", p.documents.Introduction(), fresh); err != nil {
			return nil, err
		}
		fresh = false
	}
	export, document, read, err := p.exchange(op, request)
	if err != nil || !slices.Contains(p.exports, export) {
		return nil, &host.CallError{Policy: p.manifest.Name, Op: op, Kind: host.Unsupported, Code: "call.unsupported", Message: "the guest does not implement it"}
	}
	answer, err := p.call(ctx, client, export, document, fresh)
	if err != nil {
		return nil, err
	}
	response, err := read(answer)
	if err != nil {
		return nil, &host.CallError{Policy: p.manifest.Name, Op: op, Export: export, Kind: host.Guest, Code: "guest.answer", Message: fmt.Sprintf("its answer to %s is wrong: %v", export, err)}
	}
	return response, nil
}

func (p *Plugin) call(ctx context.Context, c *helper.Client, export string, document []byte, fresh bool) ([]byte, error) {
	a, err := c.CallContext(ctx, helper.Call{Export: export, Input: document, Fresh: fresh})
	p.tell(ctx, a.Log)
	if c.Broken() {
		p.crashed()
	}
	if err != nil {
		return nil, err
	}
	if a.Returned != 0 {
		return nil, &host.CallError{Policy: p.manifest.Name, Export: export, Kind: host.Guest, Code: "guest.returned", Message: fmt.Sprintf("%s returned %d without an error", export, a.Returned)}
	}
	return a.Output, nil
}

// tell writes what the plugin logged.
func (p *Plugin) tell(ctx context.Context, lines []helper.Line) {
	for _, l := range lines {
		level := slog.LevelDebug
		_ = level.UnmarshalText([]byte(strings.ToUpper(l.Level)))
		p.config.Logger.Log(ctx, level, "guest", "policy", p.manifest.Name, "text", strings.ToValidUTF8(l.Text, "?"))
	}
}

// explain makes a failure what it would be on our own runner.
func (p *Plugin) explain(op wasmabi.Op, err error) error {
	if e, ok := errors.AsType[*host.CallError](err); ok {
		if e.Op == 0 {
			e.Op = op
		}
		return e
	}
	f, ok := errors.AsType[*helper.Failure](err)
	if !ok {
		return err
	}
	e := &host.CallError{Policy: p.manifest.Name, Op: op, Kind: host.Guest, Code: "guest.extism", Message: f.Message}
	if f.Why != "" {
		e.Message += ": " + f.Why
	}
	switch ended, late := died(err); {
	case late:
		e.Kind, e.Code = host.Deadline, "call.deadline"
	case ended:
		e.Kind, e.Code = host.Trap, "call.helper-died"
	case f.Code == helper.CodeOutput:
		e.Kind, e.Code = host.Output, "call.output"
	}
	return e
}

func (p *Plugin) count(began time.Time, request, response int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.stats
	s.Calls++
	s.Sessions++
	s.RequestBytes += uint64(request)
	s.ResponseBytes += uint64(response)
	took := uint64(time.Since(began))
	s.Latency.Buckets[min(bits.Len64(took), host.HistogramBuckets-1)]++
	s.Latency.Sum += took
	if e, ok := errors.AsType[*host.CallError](err); ok {
		if s.Errors == nil {
			s.Errors = map[host.Kind]uint64{}
		}
		s.Errors[e.Kind]++
	}
}
