package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/wasmabi"
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
			return judge(cmd, runtime, raw, dir)
		},
	}
}

// judge prepares a module on the engine that its manifest names, and gives it up again.
func judge(cmd *cobra.Command, r *host.Runtime, raw []byte, dir string) error {
	if m, err := wasmabi.ReadManifest(raw); err == nil && m.Door == wasmabi.DoorExtismSDK {
		p, err := fallback.Prepare(cmd.Context(), r, raw, fallback.Config{Dir: dir})
		if err != nil {
			return err
		}
		defer p.Close()
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s is acceptable: %s\n%s\n", m.Name, m.Version, p.Digest(), fallback.Warning)
		return nil
	}
	module, err := r.Prepare(cmd.Context(), raw)
	if err != nil {
		return err
	}
	defer module.Close()
	m := module.Manifest()
	fmt.Fprintf(cmd.OutOrStdout(), "%s %s is acceptable: %s\n", m.Name, m.Version, module.Digest())
	return nil
}
