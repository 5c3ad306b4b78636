package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/host"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check MODULE", Short: "Judge a module as an agent would at upload", Args: cobra.ExactArgs(1),
		Long:    "check validates, rewrites, compiles and freezes a module and runs its golden vectors, without an agent.",
		Example: "  edgeholdd check cpu-boost.wasm",
		RunE: func(cmd *cobra.Command, args []string) error {
			raw, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read module: %w", err)
			}
			dir, err := os.MkdirTemp("", "edgeholdd-check-")
			if err != nil {
				return fmt.Errorf("make a folder for the compiler: %w", err)
			}
			defer os.RemoveAll(dir)
			runtime, err := host.New(cmd.Context(), host.Config{CacheDir: dir})
			if err != nil {
				return err
			}
			defer runtime.Close(cmd.Context())
			module, err := runtime.Prepare(cmd.Context(), raw)
			if err != nil {
				return err
			}
			defer module.Close()
			m := module.Manifest()
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s is acceptable: %s\n", m.Name, m.Version, module.Digest())
			return nil
		},
	}
}
