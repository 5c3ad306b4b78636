package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
)

// completionTimeout keeps a shell from waiting for an agent that does not answer.
const completionTimeout = time.Second

type completion = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

func fixed(words ...string) completion {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// names completes the first argument with what the agent knows. Without an agent there is nothing to offer.
func (a *app) names(ask func(context.Context, *apiclient.Client) ([]string, error)) completion {
	return func(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.offer(ask), cobra.ShellCompDirectiveNoFileComp
	}
}

func (a *app) offer(ask func(context.Context, *apiclient.Client) ([]string, error)) []string {
	agent, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
	defer cancel()
	found, err := ask(ctx, agent)
	if err != nil {
		return nil
	}
	return found
}

func policyNames(ctx context.Context, agent *apiclient.Client) ([]string, error) {
	return namesOf(agent.Policies(ctx))(func(p api.Policy) string { return p.Name })
}

func mechanismNames(ctx context.Context, agent *apiclient.Client) ([]string, error) {
	return namesOf(agent.Mechanisms(ctx))(func(m api.Mechanism) string { return m.Name })
}

func metricNames(ctx context.Context, agent *apiclient.Client) ([]string, error) {
	return namesOf(agent.MetricNames(ctx, ""))(func(m api.MetricName) string { return m.Name })
}

func decisionIDs(ctx context.Context, agent *apiclient.Client) ([]string, error) {
	page, err := agent.Decisions(ctx, api.DecisionFilter{})
	return namesOf(page.Items, err)(func(d api.DecisionSummary) string { return d.ID + "\t" + d.Policy + " " + string(d.Outcome) })
}

// knobSettings completes KNOB= after the mechanism's name.
func (a *app) knobSettings(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return a.offer(mechanismNames), cobra.ShellCompDirectiveNoFileComp
	}
	return a.offer(func(ctx context.Context, agent *apiclient.Client) ([]string, error) {
		options, err := agent.MechanismOptions(ctx, given[0])
		return namesOf(options.Items, err)(func(k api.Knob) string { return k.Name + "=" })
	}), cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func namesOf[T any](items []T, err error) func(func(T) string) ([]string, error) {
	return func(name func(T) string) ([]string, error) {
		var all []string
		for _, item := range items {
			all = append(all, name(item))
		}
		return all, err
	}
}
