package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) modeCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "mode", Short: "Switch policies that use machine learning on and off",
		Long:    "In heuristic mode every policy that declares the use of machine learning waits; in ml mode every enabled policy runs.",
		Example: "  edgehold mode get\n  edgehold mode set heuristic",
	})
	get := &cobra.Command{Use: "get", Short: "Show the mode", Args: args(0, 0, ""), Example: "  edgehold mode get"}
	get.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		m, err := agent.Mode(ctx)
		return printMode(p, m, err)
	})
	set := &cobra.Command{
		Use: "set heuristic|ml", Short: "Set the mode", Args: args(1, 1, "heuristic or ml"), Example: "  edgehold mode set ml", ValidArgsFunction: fixed("heuristic", "ml"),
	}
	set.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		mode := api.ModeName(args[0])
		if mode != api.ModeHeuristic && mode != api.ModeML {
			return usage(set, "set the mode", fmt.Sprintf("%q is neither heuristic nor ml", args[0]))
		}
		m, err := agent.SetMode(ctx, mode)
		return printMode(p, m, err)
	})
	c.AddCommand(get, set)
	return c
}

func printMode(p *cli.Printer, m api.Mode, err error) error {
	if err != nil {
		return err
	}
	return p.Object(m, string(m.Mode), func(d *cli.Details) {
		d.Field("Mode", string(m.Mode))
		d.Field("Since", timestamp(m.Since))
		d.Field("Set by", m.SetBy)
		d.Field("Suspended", list(m.Suspended))
	})
}

func (a *app) eventCommand() *cobra.Command {
	c := group(&cobra.Command{Use: "event", Short: "Watch what happens", Aliases: []string{"events"}, Example: "  edgehold event watch"})
	watch := &cobra.Command{Use: "watch", Short: "Print events as they happen", Args: args(0, 0, ""), Example: "  edgehold event watch\n  edgehold event watch -o json"}
	watch.RunE = a.watching(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		return cli.Watch(p, eventTable, func(yield func(api.Change[api.Event], error) bool) {
			for event, err := range agent.Events(ctx, 0) {
				if !yield(api.Change[api.Event]{Type: api.ChangeChanged, Name: event.Name, Item: &event}, err) {
					return
				}
			}
		})
	})
	c.AddCommand(watch)
	return c
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Show the versions of this program and of the agent", Args: args(0, 0, ""),
		Long:    "Shows the version of this program, and that of the agent if one answers.",
		Example: "  edgehold version\n  edgehold version --client",
	}
	alone := c.Flags().Bool("client", false, "only this program's")
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		versions := map[string]*api.Version{"client": ownVersion()}
		if !*alone {
			versions["agent"] = a.agentVersion(c)
		}
		return p.Object(versions, versions["client"].Version, func(d *cli.Details) {
			d.Field("edgehold", versionLine(versions["client"]))
			if !*alone {
				d.Field("agent", versionLine(versions["agent"]))
			}
		})
	}
	return c
}

// agentVersion is nil when no agent answers.
func (a *app) agentVersion(c *cobra.Command) *api.Version {
	agent, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context(), min(a.timeout, 5*time.Second))
	defer cancel()
	v, err := agent.Version(ctx)
	if err != nil {
		return nil
	}
	return &v
}

func versionLine(v *api.Version) string {
	if v == nil {
		return "no agent answers"
	}
	return fmt.Sprintf("%s (%s, %s, ABI %d)", v.Version, v.Go, v.Platform, v.ABI)
}

func ownVersion() *api.Version {
	v := &api.Version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, ABI: abi}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			v.Revision = setting.Value
		}
	}
	return v
}
