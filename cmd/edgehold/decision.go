package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

// outcomes are the words that --outcome takes.
var outcomes = func() (words []string) {
	for _, o := range api.DecisionOutcomes() {
		words = append(words, string(o))
	}
	return words
}()

func (a *app) decisionCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "decision", Short: "Ask what was decided, why, and whether it would be again", Aliases: []string{"decisions"},
		Long:    "Every pass of a policy is recorded: what it saw, what it planned, who won, what changed. The word last stands for the newest decision that planned something.",
		Example: "  edgehold decision list --policy load-follower\n  edgehold decision explain last\n  edgehold decision replay last --with 1.0.0",
	})
	c.AddCommand(a.decisionList(), a.decisionWatch(), a.decisionGet(), a.decisionExplain(), a.decisionReplay())
	return c
}

// decisionFlags are the filters that listing and watching share.
type decisionFlags struct {
	policy   string
	outcomes []string
	since    time.Duration
	limit    int
	cursor   string
}

func (f *decisionFlags) add(a *app, c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.policy, "policy", "", "only this policy's")
	flags.StringSliceVar(&f.outcomes, "outcome", nil, "only these outcomes: "+strings.Join(outcomes, ", "))
	flags.DurationVar(&f.since, "since", 0, "only those of the last time, as 10m")
	flags.IntVar(&f.limit, "limit", 20, "most items")
	c.RegisterFlagCompletionFunc("outcome", fixed(outcomes...))
	c.RegisterFlagCompletionFunc("policy", a.names(policyNames))
}

func (f *decisionFlags) filter(c *cobra.Command) (api.DecisionFilter, error) {
	filter := api.DecisionFilter{Policy: f.policy, Limit: f.limit, Cursor: f.cursor}
	for _, o := range f.outcomes {
		if !slices.Contains(outcomes, o) {
			return filter, usage(c, "choose outcomes", fmt.Sprintf("%q is not an outcome", o))
		}
		filter.Outcomes = append(filter.Outcomes, api.DecisionOutcome(o))
	}
	if f.limit < 1 || f.limit > 1000 {
		return filter, usage(c, "choose the limit", "it must be between 1 and 1000")
	}
	if f.since > 0 {
		filter.Since = time.Now().Add(-f.since)
	}
	return filter, nil
}

func (a *app) decisionList() *cobra.Command {
	var flags decisionFlags
	c := &cobra.Command{
		Use: "list", Short: "List decisions, newest first", Aliases: []string{"ls"}, Args: args(0, 0, ""),
		Example: "  edgehold decision list\n  edgehold decision list --outcome applied,clamped --since 10m -o wide",
	}
	flags.add(a, c)
	c.Flags().StringVar(&flags.cursor, "cursor", "", "go on where the page before ended")
	return listing(a, c, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		filter, err := flags.filter(c)
		if err != nil {
			return err
		}
		page, err := agent.Decisions(ctx, filter)
		if err != nil {
			return err
		}
		defer a.more(c, page.Next)
		return cli.List(p, decisionTable, page.Items, page)
	}, a.watchDecisions(c, &flags))
}

func (a *app) decisionWatch() *cobra.Command {
	var flags decisionFlags
	c := &cobra.Command{
		Use: "watch", Short: "Print decisions as they are made", Args: args(0, 0, ""),
		Example: "  edgehold decision watch --policy load-follower\n  edgehold decision watch -o json",
	}
	flags.add(a, c)
	c.RunE = a.watching(a.watchDecisions(c, &flags))
	return c
}

func (a *app) watchDecisions(c *cobra.Command, flags *decisionFlags) func(context.Context, *apiclient.Client, *cli.Printer, []string) error {
	return func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		filter, err := flags.filter(c)
		if err != nil {
			return err
		}
		return cli.Watch(p, decisionTable, agent.WatchDecisions(ctx, filter))
	}
}

func (a *app) decisionGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get ID", Short: "Show everything about a decision", Args: args(1, 1, "the decision's id, or last"),
		Example: "  edgehold decision get last\n  edgehold decision get last -o json", ValidArgsFunction: a.names(decisionIDs),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		id, err := resolve(ctx, agent, args[0])
		if err != nil {
			return err
		}
		decision, err := agent.Decision(ctx, id)
		if err != nil {
			return err
		}
		return p.Object(decision, decision.ID, func(d *cli.Details) { describeDecision(d, decision) })
	})
	return c
}

func (a *app) decisionExplain() *cobra.Command {
	c := &cobra.Command{
		Use: "explain ID", Short: "Say why, in sentences", Aliases: []string{"why"}, Args: args(1, 1, "the decision's id, or last"),
		Example: "  edgehold decision explain last", ValidArgsFunction: a.names(decisionIDs),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		id, err := resolve(ctx, agent, args[0])
		if err != nil {
			return err
		}
		e, err := agent.ExplainDecision(ctx, id)
		if err != nil {
			return err
		}
		return p.Object(e, e.DecisionID, func(d *cli.Details) { describeExplanation(d, e) })
	})
	return c
}

func (a *app) decisionReplay() *cobra.Command {
	c := &cobra.Command{
		Use: "replay ID", Short: "Run a decision again, or with another version", Args: args(1, 1, "the decision's id, or last"),
		Long: "Runs the recorded pass again and compares every byte and the fuel; a difference is exit code 6. --with runs another stored version, or a module " +
			"from a file, on the same inputs and compares the plans; that it fails is exit code 6 too. Nothing acts.",
		Example: "  edgehold decision replay last\n  edgehold decision replay last --with 1.0.0\n  edgehold decision replay last --with ./new.wasm", ValidArgsFunction: a.names(decisionIDs),
	}
	with := c.Flags().String("with", "", "stored version, or file of a module")
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		id, err := resolve(ctx, agent, args[0])
		if err != nil {
			return err
		}
		request, err := a.replayRequest(*with)
		if err != nil {
			return err
		}
		report, err := agent.ReplayDecision(ctx, id, request)
		if err != nil {
			return err
		}
		if err := p.Object(report, report.DecisionID, func(d *cli.Details) { describeReplay(d, report) }); err != nil {
			return err
		}
		if report.Counterfactual && report.Error != nil || !report.Counterfactual && !(report.SameBytes && report.SameFuel) {
			return errFault
		}
		return nil
	})
	return c
}

// replayRequest takes what --with names for a file if there is one, or if it can't be a version.
func (a *app) replayRequest(with string) (r api.ReplayRequest, err error) {
	if with == "" {
		return r, nil
	}
	_, statErr := os.Stat(with)
	if errors.Is(statErr, fs.ErrNotExist) && !strings.ContainsAny(with, "/\\") && !strings.HasSuffix(with, ".wasm") {
		r.Version = with
		return r, nil
	}
	r.Module, err = a.readFile(with)
	return r, err
}

// resolve turns "last" into the newest decision that planned something, or the newest of all if none did.
func resolve(ctx context.Context, agent *apiclient.Client, id string) (string, error) {
	if id != "last" {
		return id, nil
	}
	interesting := api.DecisionFilter{Limit: 1, Outcomes: []api.DecisionOutcome{api.DecisionApplied, api.DecisionClamped, api.DecisionUnchanged,
		api.DecisionPartlyApplied, api.DecisionInterrupted, api.DecisionDiscarded, api.DecisionRefused, api.DecisionFailed, api.DecisionPending}}
	for _, filter := range []api.DecisionFilter{interesting, {Limit: 1}} {
		page, err := agent.Decisions(ctx, filter)
		if err != nil {
			return "", err
		}
		if len(page.Items) > 0 {
			return page.Items[0].ID, nil
		}
	}
	return "", &api.Problem{Status: 404, Code: "decision.not-found", Detail: "get the last decision: nothing was decided yet", Why: "nothing was decided yet",
		Hint: "upload a policy, or wait for its first pass"}
}
