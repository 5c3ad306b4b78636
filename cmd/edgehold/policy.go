package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) policyCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "policy", Short: "Upload, switch and look at policies; write new ones", Aliases: []string{"policies"},
		Long:    "A policy is a WebAssembly module that decides. Uploading one takes effect at once; the version before stays as the standby.",
		Example: "  edgehold policy new load-follower\n  edgehold policy build load-follower\n  edgehold policy upload load-follower/load-follower.wasm",
	})
	c.AddCommand(a.policyNew(), a.policyBuild(), a.policyTest(), a.policyDev(), a.policyBench(),
		a.policyPack(), a.policyInspect(), a.policyVerify(), a.policyDiff(),
		a.policyUpload(), a.policyList(), a.policyGet(), a.policyVersions(),
		a.policySwitch("enable", "Let a policy run", (*apiclient.Client).EnablePolicy),
		a.policySwitch("disable", "Stop a policy and revert what it holds", (*apiclient.Client).DisablePolicy),
		a.policyRollback(), a.policyDelete(), a.rolloutCommand())
	return c
}

func (a *app) policyUpload() *cobra.Command {
	var o api.UploadOptions
	var parameters []string
	c := &cobra.Command{
		Use: "upload FILE", Short: "Upload a module and let it decide", Aliases: []string{"push"},
		Args: args(1, 1, "the module's file, a bundle, - for standard input, or oci://... for what the agent gets itself"),
		Long: "The agent checks the module, compiles it, tries its golden vectors, stores it and lets it decide. A refusal leaves whatever runs untouched.\n\n" +
			"With --shadow, --canary or --gate it has to prove itself first, beside the version in charge, and goes back by itself if it does worse.\n" +
			"With --watch the command follows that to its end, and fails if the version did not stay.",
		Example: "  edgehold policy upload load-follower.wasm\n  edgehold policy upload load-follower.wasm --dry-run\n" +
			"  edgehold policy upload load-follower.wasm --allow CPUFrequency --set high=0.7\n" +
			"  edgehold policy upload next.wasm --shadow 10m --canary 5% --gate 'app.latency_p99<=50ms' --watch\n" +
			"  edgehold policy upload oci://registry.example/policies/load-follower:1.3.0",
	}
	rollout := rolloutFlagsOf(c)
	watch := c.Flags().BoolP("watch", "w", false, "follow the rollout to its end")
	flags := c.Flags()
	flags.BoolVar(&o.DryRun, "dry-run", false, "check everything and store nothing")
	flags.BoolVar(&o.Disabled, "disabled", false, "leave a new policy switched off")
	flags.StringSliceVar(&o.Allow, "allow", nil, "mechanisms that the policy may use (default: what the agent's configuration allows)")
	flags.StringArrayVar(&parameters, "set", nil, "value of a parameter, as NAME=NUMBER; may be repeated")
	upload := func(ctx context.Context, agent *apiclient.Client, file string) (result api.UploadResult, err error) {
		if o.Parameters, err = parseParameters(c, parameters); err != nil {
			return result, err
		}
		if o.Rollout, err = rollout.asked(c); err != nil {
			return result, err
		}
		if o.Rollout == nil && *watch {
			o.Rollout = &api.RolloutStart{}
		}
		return a.upload(ctx, agent, file, o)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		var result api.UploadResult
		ask := a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) (err error) {
			if result, err = upload(ctx, agent, args[0]); err != nil {
				return err
			}
			if *watch && result.Rollout != nil && p.Streams() {
				return nil
			}
			return p.Object(result, result.Name, func(d *cli.Details) { describeUpload(d, result) })
		})
		if err := ask(c, args); err != nil || !*watch || result.Rollout == nil {
			return err
		}
		return a.watching(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
			return a.follow(ctx, agent, p, result.Name, result.Rollout.ID)
		})(c, args)
	}
	return c
}

// upload sends a file, or has the agent get what a reference names.
func (a *app) upload(ctx context.Context, agent *apiclient.Client, file string, o api.UploadOptions) (api.UploadResult, error) {
	progress := cli.NewProgress(a.err)
	defer progress.Done()
	if strings.HasPrefix(file, "oci://") {
		o.Reference = file
		progress.Step("the agent gets %s", file)
		return agent.UploadPolicy(ctx, nil, o)
	}
	module, err := a.readFile(file)
	if err != nil {
		return api.UploadResult{}, err
	}
	progress.Step("uploading %s (%s)", file, api.FormatBytes(int64(len(module))))
	return agent.UploadPolicy(ctx, module, o)
}

func parseParameters(c *cobra.Command, settings []string) (map[string]float64, error) {
	if len(settings) == 0 {
		return nil, nil
	}
	values := map[string]float64{}
	for _, setting := range settings {
		name, text, _ := strings.Cut(setting, "=")
		value, err := strconv.ParseFloat(text, 64)
		if name == "" || err != nil {
			return nil, usage(c, "set a parameter", fmt.Sprintf("%q is not NAME=NUMBER", setting))
		}
		values[name] = value
	}
	return values, nil
}

func (a *app) policyList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List policies", Aliases: []string{"ls"}, Args: args(0, 0, ""),
		Example: "  edgehold policy list\n  edgehold policy list -o wide --watch",
	}
	return listing(a, c, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		items, err := agent.Policies(ctx)
		if err != nil {
			return err
		}
		return cli.List(p, policyTable, items, api.PolicyList{Items: items})
	}, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		return cli.Watch(p, policyTable, agent.WatchPolicies(ctx))
	})
}

func (a *app) policyGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get NAME", Short: "Show a policy, its grants and its health", Args: args(1, 1, "the policy's name"),
		Example: "  edgehold policy get load-follower\n  edgehold policy get load-follower -o json", ValidArgsFunction: a.names(policyNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		policy, err := agent.Policy(ctx, args[0])
		if err != nil {
			return err
		}
		return p.Object(policy, policy.Name, func(d *cli.Details) { describePolicy(d, policy) })
	})
	return c
}

func (a *app) policyVersions() *cobra.Command {
	c := &cobra.Command{
		Use: "versions NAME", Short: "List the stored versions of a policy", Args: args(1, 1, "the policy's name"),
		Example: "  edgehold policy versions load-follower", ValidArgsFunction: a.names(policyNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		items, err := agent.PolicyVersions(ctx, args[0])
		if err != nil {
			return err
		}
		return cli.List(p, versionTable, items, api.PolicyVersionList{Items: items})
	})
	return c
}

func (a *app) policySwitch(verb, short string, call func(*apiclient.Client, context.Context, string) (api.Policy, error)) *cobra.Command {
	c := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: args(1, 1, "the policy's name"),
		Example: "  edgehold policy " + verb + " load-follower", ValidArgsFunction: a.names(policyNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		policy, err := call(agent, ctx, args[0])
		return a.switched(p, policy, err)
	})
	return c
}

func (a *app) policyRollback() *cobra.Command {
	c := &cobra.Command{
		Use: "rollback NAME", Short: "Go back to the standby version", Args: args(1, 1, "the policy's name"),
		Long:    "The standby version, or the one that --to names, decides from now on. The active one becomes the standby, so doing it twice goes forth again.",
		Example: "  edgehold policy rollback load-follower\n  edgehold policy rollback load-follower --to 1.0.0", ValidArgsFunction: a.names(policyNames),
	}
	to := c.Flags().String("to", "", "stored version to go back to")
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		policy, err := agent.RollbackPolicy(ctx, args[0], *to)
		return a.switched(p, policy, err)
	})
	return c
}

func (a *app) switched(p *cli.Printer, policy api.Policy, err error) error {
	if err != nil {
		return err
	}
	return p.Object(policy, policy.Name, func(d *cli.Details) {
		d.Text("%s %s is %s%s.", policy.Name, policy.ActiveVersion, policy.State, because(policy.StateReason))
	})
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func (a *app) policyDelete() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NAME", Short: "Forget a policy, its versions and its context", Args: args(1, 1, "the policy's name"),
		Example: "  edgehold policy delete load-follower", ValidArgsFunction: a.names(policyNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		if err := agent.DeletePolicy(ctx, args[0]); err != nil {
			return err
		}
		return p.Object(map[string]string{"deleted": args[0]}, args[0], func(d *cli.Details) { d.Text("%s is deleted.", args[0]) })
	})
	return c
}
