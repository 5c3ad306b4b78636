package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// decisionStream prints one policy's decisions as they are made. What it has to say beside goes to err. It may be used by
// several goroutines.
type decisionStream struct {
	p   *cli.Printer
	err io.Writer

	mu      sync.Mutex
	running string // the version that decides
	dull    string // the last line that said nothing new
}

func (s *decisionStream) version(v string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.dull = v, ""
}

func (s *decisionStream) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

func (s *decisionStream) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.err, "-- "+cli.Clean(text))
}

func (s *decisionStream) problem(err error, color bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cli.PrintError(s.err, "edgehold", err, color)
}

// follow prints until ctx ends; with once, until a decision has changed something or failed.
func (s *decisionStream) follow(ctx context.Context, agent *apiclient.Client, policy string, once bool) error {
	for change, err := range agent.WatchDecisions(ctx, api.DecisionFilter{Policy: policy}) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if change.Item == nil || change.Item.Policy != policy || change.Item.Version != s.current() || change.Item.Outcome == api.DecisionPending {
			continue
		}
		if err := s.show(ctx, agent, *change.Item); err != nil {
			return err
		}
		if once && change.Item.Outcome != api.DecisionQuiet {
			return nil
		}
	}
	return ctx.Err()
}

// show prints a decision, unless it is one more that stays for the reason of the one before.
func (s *decisionStream) show(ctx context.Context, agent *apiclient.Client, summary api.DecisionSummary) error {
	d, err := agent.Decision(ctx, summary.ID)
	var problem *api.Problem
	if errors.As(err, &problem) { // collected already
		d, err = api.Decision{DecisionSummary: summary}, nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.p.Streams() {
		return s.p.Stream(d, d.ID)
	}
	dull := ""
	if d.Outcome == api.DecisionQuiet {
		dull = d.Version + d.Why
	}
	if dull != "" && dull == s.dull {
		return nil
	}
	s.dull = dull
	for _, line := range decisionLines(d) {
		if _, err := fmt.Fprintln(s.p.Out, line); err != nil {
			return err
		}
	}
	return nil
}

// decisionLines is a decision as one readable line, its changes below it.
func decisionLines(d api.Decision) []string {
	fuel := uint64(0)
	for _, c := range d.Calls {
		fuel += c.Fuel
	}
	lines := []string{fmt.Sprintf("%s  %s  %-9s  %s  (%s fuel, %s)", d.At.UTC().Format("15:04:05"), cli.Clean(d.Version), d.Outcome, cli.Clean(strings.TrimSuffix(d.Why, ".")),
		thousands(fuel), microseconds(d.DurationUS))}
	lines = append(lines, changeLines(d)...)
	if d.Error != nil {
		line := "          " + cli.Clean(d.Error.Code)
		if d.Error.Detail != d.Why {
			line += ": " + cli.Clean(d.Error.Detail)
		}
		lines = append(lines, line)
	}
	return lines
}

// changeLines says what a decision did: what moved, or what it planned if nothing came of it yet.
func changeLines(d api.Decision) (lines []string) {
	for _, r := range d.Results {
		for _, change := range r.Changes {
			if text := cli.Clean(changeText(change)); !change.Old.Equal(change.Effective) || change.Reason != "" {
				lines = append(lines, "          "+cli.Clean(r.Mechanism)+" "+text)
			}
		}
	}
	if len(d.Results) > 0 {
		return lines
	}
	for _, change := range d.Plan {
		lines = append(lines, "          planned "+cli.Clean(plannedText(change)))
	}
	return lines
}

// thousands prints a count short: 950, 12.3k, 4.1M.
func thousands(n uint64) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 1_000_000:
		return fmt.Sprintf("%.1fk", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1fM", float64(n)/1e6)
}
