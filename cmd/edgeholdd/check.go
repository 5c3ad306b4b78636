package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/wasmabi"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check MODULE", Short: "Judge a module as an agent would at upload", Args: cobra.ExactArgs(1),
		Long: "check validates, rewrites, compiles and freezes a module and runs its golden vectors, without an agent. " +
			"A policy or an adapter may ask for what an agent grants by default; a workload for more, since devices differ in what they grant.",
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
			runtime, err := host.New(cmd.Context(), host.Config{CacheDir: dir, Limits: mostFor(raw)})
			if err != nil {
				return err
			}
			defer runtime.Close(cmd.Context())
			return judge(cmd, runtime, raw, dir)
		},
	}
}

// mostFor is what a module may ask for: a workload, up to what the largest of devices would be told to grant.
func mostFor(module []byte) host.Limits {
	limits := host.DefaultLimits()
	if m, err := wasmabi.ReadManifest(module); err == nil && m.Kind == wasmabi.KindWorkload {
		limits.Fuel, limits.Deadline = 1_000_000_000, time.Minute
	}
	return limits
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
