package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/node/config"
)

// configFlags name a configuration: a file and what overrides it.
type configFlags struct {
	path string
	set  []string
}

func (f *configFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.path, "config", "c", "", "configuration file; without one the defaults hold")
	c.Flags().StringArrayVar(&f.set, "set", nil, "override one key, like telemetry.monitor_interval=500ms (repeatable)")
}

// load reads the file, then the environment, then --set: the later wins.
func (f *configFlags) load() (config.Config, error) {
	return config.Load(f.path, append(config.EnvironOverrides(os.Environ()), f.set...))
}

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Look at configurations"}
	var f configFlags
	check := &cobra.Command{
		Use: "check", Short: "Say everything that is wrong with a configuration", Args: cobra.NoArgs,
		Example: "  edgeholdd config check --config /etc/edgehold/agent.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := f.load(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return nil
		},
	}
	f.add(check)
	example := &cobra.Command{
		Use: "example", Short: "Print a configuration with every key", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := config.Example()
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
	}
	c.AddCommand(check, example)
	return c
}
