package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// follow shows a rollout until it is over. A version that did not stay is an error.
func (a *app) follow(ctx context.Context, agent *apiclient.Client, p *cli.Printer, policy, id string) error {
	ctx, stop := context.WithCancel(ctx)
	seen := make(chan seen)
	go func() {
		defer close(seen)
		pump(ctx, agent, policy, seen)
	}()
	defer func() {
		stop()
		for range seen { // until the goroutine has ended
		}
	}()
	return a.show(seen, a.viewOf(p), id)
}

// seen is what the agent says of the rollout that is followed.
type seen struct {
	rollout api.Rollout
	gone    bool
	err     error
}

// pump passes on what the agent says until the context or the stream ends.
func pump(ctx context.Context, agent *apiclient.Client, policy string, out chan<- seen) {
	for change, err := range agent.WatchRollouts(ctx) {
		s := seen{err: err, gone: change.Type == api.ChangeGone}
		switch {
		case err == nil && (change.Name != policy || change.Item == nil && !s.gone):
			continue
		case change.Item != nil:
			s.rollout = *change.Item
		}
		select {
		case out <- s:
		case <-ctx.Done():
			return
		}
	}
}

// redrawEvery keeps the time that is left right on a terminal.
const redrawEvery = time.Second

func (a *app) show(news <-chan seen, v view, id string) error {
	redraw := time.NewTicker(redrawEvery)
	defer redraw.Stop()
	var last api.Rollout
	for {
		select {
		case s, open := <-news:
			switch {
			case !open:
				return nil // interrupted
			case s.err != nil:
				return s.err
			case s.gone:
				return errors.New("follow the rollout: the policy was deleted")
			case s.rollout.ID != id:
				return superseded(s.rollout)
			}
			last = s.rollout
			if err := v.draw(last, a.clock()); err != nil {
				return err
			}
			if last.Over {
				return stayed(last)
			}
		case <-redraw.C:
			if err := v.tick(last, a.clock()); err != nil {
				return err
			}
		}
	}
}

func superseded(r api.Rollout) error {
	return &cli.Failure{Attempt: "follow the rollout", Code: "rollout.superseded", Why: fmt.Sprintf("version %s of %s is being rolled out in its place", r.Version, r.Policy),
		Hint: "follow that one: edgehold policy rollout get " + r.Policy + " --watch"}
}

// stayed is nil if the version stayed.
func stayed(r api.Rollout) error {
	if r.Outcome == api.RolloutSucceeded {
		return nil
	}
	return &cli.Failure{
		Attempt: fmt.Sprintf("roll out %s %s", r.Policy, r.Version), Code: "rollout." + string(r.Outcome), Why: orReason(r),
		Hint: "edgehold policy rollout get " + r.Policy + " shows what was measured",
	}
}

func orReason(r api.Rollout) string {
	if r.Why == "" {
		return string(r.Outcome)
	}
	return r.Why
}

// view shows a rollout as it changes.
type view interface {
	draw(r api.Rollout, now time.Time) error
	// tick is called once a second.
	tick(r api.Rollout, now time.Time) error
}

func (a *app) viewOf(p *cli.Printer) view {
	if p.Format == cli.FormatTable || p.Format == cli.FormatWide {
		if cli.IsTerminal(a.out) {
			return &liveView{out: a.out}
		}
		return &lineView{out: a.out}
	}
	return dataView{p}
}

// liveView draws a tree over itself.
type liveView struct {
	out   io.Writer
	lines int
}

func (v *liveView) draw(r api.Rollout, now time.Time) error {
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", v.lines)
	}
	lines := tree(r, now)
	for _, line := range lines {
		// A line that is too long is cut and not wrapped, or the next one would be drawn over the wrong place.
		fmt.Fprintf(&b, "\x1b[?7l%s\x1b[?7h\n", cli.Clean(line))
	}
	v.lines = len(lines)
	_, err := io.WriteString(v.out, b.String())
	return err
}

func (v *liveView) tick(r api.Rollout, now time.Time) error {
	if r.ID == "" {
		return nil
	}
	return v.draw(r, now)
}

// lineView writes a line whenever something happened.
type lineView struct {
	out  io.Writer
	last string
}

func (v *lineView) draw(r api.Rollout, _ time.Time) error {
	line := headline(r)
	if line == v.last {
		return nil
	}
	v.last = line
	_, err := fmt.Fprintf(v.out, "%s  %s\n", timestamp(newest(r)), cli.Clean(line))
	return err
}

func (*lineView) tick(api.Rollout, time.Time) error { return nil }

// newest is when the last thing happened.
func newest(r api.Rollout) time.Time {
	if len(r.History) == 0 {
		return r.Since
	}
	return r.History[len(r.History)-1].At
}

// dataView writes every change as JSON, YAML or a name.
type dataView struct{ p *cli.Printer }

func (v dataView) draw(r api.Rollout, _ time.Time) error { return v.p.Stream(r, r.Policy) }

func (dataView) tick(api.Rollout, time.Time) error { return nil }
