package runner

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// initialise begins a session that knows the policy's context.
func (p *policy) initialise(ctx context.Context, now time.Time) (*host.Session, error) {
	s, err := p.module.Begin(ctx, host.SessionConfig{Time: now, Seed: uint64(now.UnixNano())})
	if err != nil {
		return nil, err
	}
	init := p.init
	init.Context = p.context.state
	if _, err := p.ask(ctx, s, wasmabi.OpInit, wasmabi.AppendInit(nil, &init)); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// ask makes one call, and measures it.
func (p *policy) ask(ctx context.Context, s *host.Session, op wasmabi.Op, request []byte) (response []byte, err error) {
	p.meter.measure(func() { response, err = s.Call(ctx, op, request) })
	return response, err
}

// episode is one pass: Analyze, Plan if that is wanted, and the context for the next one. A plan is carried out once the pass is whole.
func (p *policy) episode(ctx context.Context, now time.Time, trigger uint32) error {
	s, err := p.initialise(ctx, now)
	if err != nil {
		return err
	}
	defer s.Close()
	p.seq++
	o := &p.observation
	o.Seq, o.TimeNS, o.Trigger = p.seq, now.UnixNano(), trigger
	p.showKnobs(o)
	p.request = wasmabi.AppendObservation(p.request[:0], o)
	response, err := p.ask(ctx, s, wasmabi.OpAnalyze, p.request)
	if err != nil {
		return err
	}
	var verdict wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(response, &verdict); err != nil {
		return fmt.Errorf("read the verdict of %s: %w", p.manifest.Name, err)
	}
	var actions []action
	why := verdict.Why
	if verdict.Plan {
		if actions, why, err = p.plan(ctx, s, why); err != nil {
			return err
		}
	}
	state, err := p.ask(ctx, s, wasmabi.OpSnapshot, nil)
	if err != nil {
		return err
	}
	if err := p.remember(s, state); err != nil {
		return err
	}
	if err := p.heed(&verdict, now); err != nil {
		return err
	}
	return p.act(ctx, actions, why, verdict.Plan)
}

func (p *policy) plan(ctx context.Context, s *host.Session, why string) ([]action, string, error) {
	response, err := p.ask(ctx, s, wasmabi.OpPlan, p.request)
	if err != nil {
		return nil, "", err
	}
	var plan wasmabi.Plan
	if err := wasmabi.DecodePlan(response, &plan); err != nil {
		return nil, "", fmt.Errorf("read the plan of %s: %w", p.manifest.Name, err)
	}
	actions, err := p.check(&plan)
	if plan.Why != "" {
		why = plan.Why
	}
	return actions, why, err
}

// heed takes the verdict's interval and bounds.
func (p *policy) heed(v *wasmabi.Analysis, now time.Time) error {
	if v.NextMS > 0 {
		p.next = now.Add(max(time.Duration(v.NextMS)*time.Millisecond, leastInterval))
	}
	for _, id := range v.BoundIDs {
		if int(id) >= len(p.manifest.Metrics) {
			return fmt.Errorf("%s bounds metric %d of %d", p.manifest.Name, id, len(p.manifest.Metrics))
		}
	}
	if len(v.BoundIDs) > 0 {
		p.bounds = p.bounds[:0]
		for i, id := range v.BoundIDs {
			p.bounds = append(p.bounds, bound{metric: id, above: v.Above[i], below: v.Below[i]})
		}
	}
	crossed(p.bounds, p.observation.Values) // what lies outside already is no news
	return nil
}

// act carries a plan out, and tells what was decided.
func (p *policy) act(ctx context.Context, actions []action, why string, acts bool) error {
	text, level := why, slog.LevelDebug
	for _, a := range actions {
		told, err := p.apply(a)
		if err != nil {
			return err
		}
		text, level = text+"; "+told, slog.LevelInfo
	}
	p.runner.config.Logger.Log(ctx, level, "a policy decided", "policy", p.manifest.Name, "acts", acts, "why", text)
	if len(text) > maxDecision {
		text = strings.ToValidUTF8(text[:maxDecision], "")
	}
	p.decision = text
	p.keep(len(actions) > 0)
	return nil
}
