package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/mechanisms/cpufreq/trees"
)

func recordedCommand() *cobra.Command {
	return &cobra.Command{
		Use: "recorded FOLDER [MACHINE]", Short: "Lay down a recorded machine to try things on", Args: cobra.RangeArgs(1, 2),
		Long: "recorded writes the sysfs files of a machine with CPU frequency scaling into a folder, its upper limits in the\n" +
			"middle of their range. Run an agent with --set mechanism_plugins.root=FOLDER and it turns those knobs in place\n" +
			"of the machine's. Machines: " + strings.Join(trees.Names(), ", ") + ".",
		Example: "  edgeholdd recorded /tmp/machine\n  edgeholdd recorded /tmp/board zcu102",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "acpi-cpufreq"
			if len(args) == 2 {
				name = args[1]
			}
			if err := trees.Write(args[0], name); err != nil {
				return err
			}
			if err := lowerLimits(args[0]); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "a machine with %s lies in %s\n", name, args[0])
			return nil
		},
	}
}

// lowerLimits puts each upper limit half way, so that there is something to raise.
func lowerLimits(root string) error {
	policies, err := filepath.Glob(filepath.Join(root, "sys/devices/system/cpu/cpufreq/policy*"))
	for _, p := range policies {
		var low, high int
		for file, kHz := range map[string]*int{"cpuinfo_min_freq": &low, "cpuinfo_max_freq": &high} {
			raw, readErr := os.ReadFile(filepath.Join(p, file))
			_, scanErr := fmt.Sscan(string(raw), kHz)
			err = errors.Join(err, readErr, scanErr)
		}
		middle := fmt.Sprintln(low + (high-low)/3)
		err = errors.Join(err, os.WriteFile(filepath.Join(p, "scaling_max_freq"), []byte(middle), 0o600))
	}
	return err
}
