package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/rehearse"
)

func rehearseCommand() *cobra.Command {
	var o rehearse.Options
	var input string
	c := &cobra.Command{
		Use: "rehearse MODULE [OTHER]", Short: "Run a policy through passes that are made up, and print what they cost", Args: cobra.RangeArgs(1, 2),
		Long:    "rehearse prints JSON. `edgehold policy bench` shows it to people.",
		Example: "  edgeholdd rehearse cpu-boost.wasm --passes 100",
		RunE: func(cmd *cobra.Command, args []string) error {
			modules := make([][]byte, len(args))
			for i, path := range args {
				var err error
				if modules[i], err = os.ReadFile(path); err != nil {
					return fmt.Errorf("read module: %w", err)
				}
			}
			if input != "" {
				var err error
				if o.Input, err = rehearse.ReadInput(input); err != nil {
					return err
				}
			}
			found, err := rehearse.Run(cmd.Context(), modules, o)
			if err != nil {
				return err
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(found)
		},
	}
	c.Flags().IntVar(&o.Passes, "passes", 1000, "how many passes")
	c.Flags().StringVar(&input, "input", "", "JSON file with what every pass sees")
	return c
}
