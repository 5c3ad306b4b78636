package main

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) mechanismCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "mechanism", Short: "Look at knobs and turn them", Aliases: []string{"mechanisms"},
		Long:    "A mechanism acts on the machine through knobs. Whoever sets a knob holds it under a lease; when the lease ends the knob goes back to where it was.",
		Example: "  edgehold mechanism list\n  edgehold mechanism state CPUFrequency\n  edgehold mechanism apply CPUFrequency policy0/max_frequency=1.8GHz --lease 5m",
	})
	c.AddCommand(a.mechanismList(), a.mechanismGet(), a.mechanismOptions(), a.mechanismState(), a.mechanismApply(), a.mechanismRevert())
	return c
}

func (a *app) mechanismList() *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "List mechanisms", Aliases: []string{"ls"}, Args: args(0, 0, ""),
		Example: "  edgehold mechanism list\n  edgehold mechanism list --watch",
	}
	return listing(a, c, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		items, err := agent.Mechanisms(ctx)
		if err != nil {
			return err
		}
		return cli.List(p, mechanismTable, items, api.MechanismList{Items: items})
	}, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		return cli.Watch(p, mechanismTable, agent.WatchMechanisms(ctx))
	})
}

func (a *app) mechanismGet() *cobra.Command {
	c := &cobra.Command{
		Use: "get NAME", Short: "Show a mechanism and its knobs", Args: args(1, 1, "the mechanism's name"),
		Example: "  edgehold mechanism get CPUFrequency", ValidArgsFunction: a.names(mechanismNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		m, err := agent.Mechanism(ctx, args[0])
		if err != nil {
			return err
		}
		return p.Object(m, m.Name, func(d *cli.Details) { describeMechanism(d, m) })
	})
	return c
}

func (a *app) mechanismOptions() *cobra.Command {
	c := &cobra.Command{
		Use: "options NAME", Short: "Show what each knob may be set to", Args: args(1, 1, "the mechanism's name"),
		Example: "  edgehold mechanism options CPUFrequency", ValidArgsFunction: a.names(mechanismNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		list, err := agent.MechanismOptions(ctx, args[0])
		if err != nil {
			return err
		}
		return cli.List(p, optionTable, list.Items, list)
	})
	return c
}

func (a *app) mechanismState() *cobra.Command {
	c := &cobra.Command{
		Use: "state NAME", Short: "Show what each knob is set to, and who holds it", Args: args(1, 1, "the mechanism's name"),
		Example: "  edgehold mechanism state CPUFrequency\n  edgehold mechanism state CPUFrequency --watch", ValidArgsFunction: a.names(mechanismNames),
	}
	return listing(a, c, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		list, err := agent.MechanismState(ctx, args[0])
		if err != nil {
			return err
		}
		return cli.List(p, stateTable, list.Items, list)
	}, func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		if _, err := agent.MechanismState(ctx, args[0]); err != nil {
			return err // a name that nobody has would be waited for without end
		}
		return cli.Watch(p, stateTable, knobChanges(agent.WatchMechanisms(ctx), args[0]))
	})
}

// knobChanges yields every knob of one mechanism and then those whose value or holder changed.
func knobChanges(changes iter.Seq2[api.Change[api.Mechanism], error], name string) iter.Seq2[api.Change[api.Knob], error] {
	return func(yield func(api.Change[api.Knob], error) bool) {
		last := map[string]string{}
		for change, err := range changes {
			if err != nil {
				yield(api.Change[api.Knob]{}, err)
				return
			}
			if change.Type == api.ChangeListed && !yield(api.Change[api.Knob]{Type: change.Type}, nil) {
				return
			}
			if change.Name != name || change.Item == nil {
				continue
			}
			for _, knob := range change.Item.Knobs {
				now := api.FormatValue(knob.Current, knob.Unit) + " " + holder(knob.Lease) + " " + drift(knob) + knob.Error
				before, known := last[knob.Name]
				last[knob.Name] = now
				if known && before == now {
					continue
				}
				if !yield(api.Change[api.Knob]{Type: change.Type, Name: knob.Name, Item: &knob}, nil) {
					return
				}
			}
		}
	}
}

func (a *app) mechanismApply() *cobra.Command {
	var command api.MechanismCommand
	c := &cobra.Command{
		Use: "apply NAME [KNOB=VALUE...]", Short: "Set knobs, or give them back", Args: args(1, -1, "the mechanism's name"),
		Long: "Sets knobs under a lease. A number needs its unit, as in 1.8GHz, 1800MHz or 15W; a choice is written as it is. The values printed are the ones read back.\n" +
			"--reset gives every knob of the mechanism back. --d33 takes the dictionary of MLSysOps deliverable D3.3, its unit written.",
		Example: "  edgehold mechanism apply CPUFrequency policy0/max_frequency=1.8GHz\n" +
			"  edgehold mechanism apply CPUFrequency policy0/governor=powersave --lease 10m\n" +
			"  edgehold mechanism apply CPUFrequency policy0/max_frequency=1.8GHz --dry-run\n" +
			`  edgehold mechanism apply CPUFrequency --d33 '{"command":"set","cpu":"all","frequency":"1800 MHz"}'`,
		ValidArgsFunction: a.knobSettings,
	}
	flags := c.Flags()
	lease := flags.Duration("lease", 0, "how long to hold (default: the agent's)")
	legacy := flags.String("d33", "", "dictionary of D3.3, as JSON, in place of settings")
	reset := flags.Bool("reset", false, "give the knobs back in place of setting them")
	flags.BoolVar(&command.DryRun, "dry-run", false, "only say what would happen")
	flags.IntVar(&command.Priority, "priority", 0, "rank against policies (default: the agent's for people)")
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		if err := fillCommand(c, &command, args[1:], *legacy, *reset, *lease); err != nil {
			return err
		}
		result, err := agent.ApplyMechanism(ctx, args[0], command)
		return printResult(p, result, err)
	})
	return c
}

// fillCommand reads the three ways to say what to do, of which one is used.
func fillCommand(c *cobra.Command, command *api.MechanismCommand, settings []string, legacy string, reset bool, lease time.Duration) error {
	const attempt = "apply mechanism"
	ways := 0
	for _, used := range []bool{len(settings) > 0, legacy != "", reset} {
		if used {
			ways++
		}
	}
	switch {
	case ways != 1:
		return usage(c, attempt, "it needs either KNOB=VALUE, --d33 or --reset")
	case lease < 0:
		return usage(c, attempt, "the lease is negative")
	case legacy != "":
		if err := json.Unmarshal([]byte(legacy), &command.D33); err != nil || command.D33 == nil {
			return usage(c, attempt, "the text after --d33 is not a JSON object")
		}
	case reset:
		command.Verb = api.VerbReset
	default:
		command.Verb = api.VerbSet
	}
	command.LeaseMS = lease.Milliseconds()
	for _, text := range settings {
		setting, err := api.ParseSetting(text)
		if err != nil {
			return usage(c, attempt, err.Error())
		}
		command.Settings = append(command.Settings, setting)
	}
	return nil
}

func (a *app) mechanismRevert() *cobra.Command {
	c := &cobra.Command{
		Use: "revert NAME [KNOB...]", Short: "Give knobs back to where they were", Args: args(1, -1, "the mechanism's name"),
		Long:    "Ends the leases on the knobs, or on all knobs of the mechanism, whoever holds them, and sets them back to their baseline.",
		Example: "  edgehold mechanism revert CPUFrequency\n  edgehold mechanism revert CPUFrequency policy0/max_frequency", ValidArgsFunction: a.names(mechanismNames),
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		result, err := agent.RevertMechanism(ctx, args[0], args[1:])
		return printResult(p, result, err)
	})
	return c
}

func printResult(p *cli.Printer, result api.MechanismResult, err error) error {
	if err != nil {
		return err
	}
	return p.Object(result, result.Mechanism, func(d *cli.Details) { describeResult(d, result) })
}
