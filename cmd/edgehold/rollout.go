package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) rolloutCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "rollout", Short: "Look at and steer how a new version comes into charge", Aliases: []string{"rollouts"},
		Long: "An upload with --shadow, --canary or --gate begins a rollout: the new version proves itself beside the one in charge, and goes back by itself if it does worse.\n" +
			"What ends it: a trap, a limit, a pass that takes too long or too much fuel, plans that differ too much, a gate that does not hold, a goal metric that gets worse.",
		Example: "  edgehold policy upload next.wasm --shadow 10m --canary 5% --gate 'app.latency_p99<=50ms' --watch\n" +
			"  edgehold policy rollout get load-follower --watch",
	})
	c.AddCommand(a.rolloutGet(), a.rolloutList(),
		a.rolloutVerb(api.RolloutPause, "Keep a version in its phase; it still goes back if it misbehaves"),
		a.rolloutVerb(api.RolloutResume, "End a pause or a hold-down"),
		a.rolloutVerb(api.RolloutPromote, "Let a version decide now: skip what is left of shadow, canary and probation"),
		a.rolloutVerb(api.RolloutAbort, "End a rollout; the version before goes on, or decides again"),
		a.rolloutVerb(api.RolloutUndo, "Go back to the version before, also after a rollout is over"),
		a.rolloutVerb(api.RolloutPardon, "Forget the strikes and the quarantine of a version"))
	return c
}

func (a *app) rolloutGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get NAME", Short: "Show the newest rollout of a policy", Args: args(1, 1, "the policy's name"),
		Long:    "With --watch it goes on until the rollout is over, and fails if the version did not stay: as a live tree on a terminal, else a line for each step.",
		Example: "  edgehold policy rollout get load-follower\n  edgehold policy rollout get load-follower --watch", ValidArgsFunction: a.names(policyNames),
	}
	return listing(a, c, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		r, err := agent.Rollout(ctx, args[0])
		if err != nil {
			return err
		}
		return p.Object(r, r.Policy, func(d *cli.Details) { describeRollout(d, r, a.clock()) })
	}, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		r, err := agent.Rollout(ctx, args[0])
		if err != nil {
			return err
		}
		return a.follow(ctx, agent, p, r.Policy, r.ID)
	})
}

func (a *app) rolloutList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List the newest rollout of each policy", Aliases: []string{"ls"}, Args: args(0, 0, ""),
		Example: "  edgehold policy rollout list\n  edgehold policy rollout list -o wide --watch",
	}
	return listing(a, c, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		items, err := agent.Rollouts(ctx)
		if err != nil {
			return err
		}
		return cli.List(p, rolloutTable, items, api.RolloutList{Items: items})
	}, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		return cli.Watch(p, rolloutTable, agent.WatchRollouts(ctx))
	})
}

// rolloutVerb is a command that tells a rollout something.
func (a *app) rolloutVerb(verb api.RolloutVerb, short string) *cobra.Command {
	c := &cobra.Command{
		Use: string(verb) + " NAME", Short: short, Args: args(1, 1, "the policy's name"),
		Example: "  edgehold policy rollout " + string(verb) + " load-follower", ValidArgsFunction: a.names(policyNames),
	}
	order := api.RolloutOrder{Verb: verb}
	c.Flags().StringVar(&order.Why, "why", "", "reason, for the history")
	if verb == api.RolloutPardon {
		c.Flags().StringVar(&order.Version, "version", "", "version to pardon (default: that of the newest rollout)")
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		r, err := agent.SteerRollout(ctx, args[0], order)
		if err != nil {
			return err
		}
		return p.Object(r, r.Policy, func(d *cli.Details) { d.Text("%s", headline(r)) })
	})
	return c
}

var rolloutTable = cli.Table[api.Rollout]{
	Name: func(r api.Rollout) string { return r.Policy },
	Columns: []cli.Column[api.Rollout]{
		{Title: "POLICY", Text: func(r api.Rollout) string { return r.Policy }},
		{Title: "VERSION", Text: func(r api.Rollout) string { return r.Version }},
		{Title: "PHASE", Status: true, Text: func(r api.Rollout) string { return phaseWords(r) }},
		{Title: "ACTIVE", Text: func(r api.Rollout) string { return r.ActiveVersion }},
		{Title: "OUTCOME", Status: true, Text: func(r api.Rollout) string { return string(r.Outcome) }},
		{Title: "SINCE", Text: func(r api.Rollout) string { return timestamp(r.Since) }},
		{Title: "ID", Wide: true, Text: func(r api.Rollout) string { return r.ID }},
		{Title: "DIVERGENCE", Wide: true, Right: true, Text: func(r api.Rollout) string { return divergence(r) }},
		{Title: "STRIKES", Wide: true, Right: true, Text: func(r api.Rollout) string { return count(uint64(r.Strikes)) }},
		{Title: "WHY", Wide: true, Text: func(r api.Rollout) string { return r.Why }},
	},
}

// divergence is that of the newest phase that compared anything.
func divergence(r api.Rollout) string {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if s := r.Steps[i].Stats; s != nil && s.Compared > 0 {
			return percent(s.Divergence)
		}
	}
	return ""
}
