package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/cmd/internal/rehearse/report"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/toolchain"
	"github.com/edgehold/edgehold/wasmabi"
)

// daemon is the program that can check a module as a node would; this one does not link what runs a guest.
const daemon = "edgeholdd"

func (a *app) policyNew() *cobra.Command {
	c := &cobra.Command{
		Use: "new NAME [FOLDER]", Short: "Write the project of a new policy", Args: args(1, 2, "the policy's name"),
		Long: "Writes a working policy, or a workload for a device, with its manifest, its test and the SDK into FOLDER, or into a folder of the policy's name. It needs no network, then or " +
			"later; only the compiler of AssemblyScript has to be fetched once.",
		Example: "  edgehold policy new load-follower\n  edgehold policy new load-follower ~/policies/load-follower\n  edgehold policy new in-c --lang c\n" +
			"  edgehold policy new mean --kind workload\n  edgehold policy new mean-in-rust --kind workload --lang rust",
	}
	var o scaffold.Options
	languageFlag(c, &o.Language, "language: go (default), tinygo, rust, c or assemblyscript")
	kind := c.Flags().String("kind", wasmabi.KindPolicy, "policy, or workload for a device; that is for TinyGo unless --lang says another language")
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.Workload = *kind == wasmabi.KindWorkload; !o.Workload && *kind != wasmabi.KindPolicy {
			return usage(c, "write a project of kind "+*kind, "--kind is policy or workload")
		}
		name, folder := args[0], args[len(args)-1]
		if err := scaffold.New(folder, name, o); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.out, "%s is ready in %s. Next:\n  edgehold policy test %s\n  edgehold policy build %s\n",
			name, folder, folder, folder)
		return err
	}
	return c
}

func (a *app) policyBuild() *cobra.Command {
	var o scaffold.BuildOptions
	c := &cobra.Command{
		Use: "build [FOLDER]", Short: "Compile a policy and pack its manifest into it", Args: args(0, 1, ""),
		Example: "  edgehold policy build load-follower\n  edgehold policy build load-follower --to /tmp/load-follower.wasm",
	}
	to := c.Flags().String("to", "", "file to write (default: NAME.wasm in the folder)")
	buildFlags(c, &o)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		progress := cli.NewProgress(a.err)
		progress.Step("compiling")
		built, err := scaffold.Build(c.Context(), folderOf(args), *to, o)
		progress.Done()
		if err != nil {
			return err
		}
		shown := map[string]any{"path": built.Path, "size_bytes": built.Bytes, "digest": built.Digest, "language": built.Language, "manifest": summarize(built.Manifest)}
		return p.Object(shown, built.Path, func(d *cli.Details) {
			d.Text("%s: %s %s, %s, %s", built.Path, built.Manifest.Name, built.Manifest.Version, api.FormatBytes(int64(built.Bytes)), built.Digest)
		})
	}
	return c
}

func (a *app) policyTest() *cobra.Command {
	var o scaffold.TestOptions
	c := &cobra.Command{
		Use: "test [FOLDER]", Short: "Run a policy's tests and check it as a node would", Args: args(0, 1, ""),
		Long: "Runs the project's own tests, builds the module, has " + daemon + " check it as a node would when it is uploaded, and takes it through a few passes with values " +
			"that are made up: a trap there is shown with its place in the sources. Without " + daemon + " beside this program or in PATH the last steps are left out, and said to be.",
		Example: "  edgehold policy test load-follower",
	}
	buildFlags(c, &o.Build)
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Output = a.err
		checker, found := findDaemon()
		if found {
			o.Check = func(ctx context.Context, module []byte) error { return a.check(ctx, checker, module) }
		}
		folder := folderOf(args)
		if err := scaffold.Test(c.Context(), folder, o); err != nil {
			return err
		}
		if found {
			if err := a.rehearse(c.Context(), folder, o.Build); err != nil {
				return err
			}
		}
		last := "a node would take it"
		if !found {
			last = daemon + " was not found, so it was not checked as a node would"
		}
		_, err := fmt.Fprintf(a.out, "%s passes: its tests succeed, it builds, %s.\n", folder, last)
		return err
	}
	return c
}

// languageFlag adds --lang.
func languageFlag(c *cobra.Command, l *toolchain.Language, usage string) {
	c.Flags().Var((*languageValue)(l), "lang", usage)
	names := make([]string, len(toolchain.Languages))
	for i, l := range toolchain.Languages {
		names[i] = string(l)
	}
	_ = c.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp))
}

// buildFlags adds what says how a project is compiled.
func buildFlags(c *cobra.Command, o *scaffold.BuildOptions) {
	languageFlag(c, &o.Language, "compile as this language, instead of what the project says or shows")
	c.Flags().BoolVar(&o.Debug, "debug", false, "keep names and line numbers, so that errors say where they happened; the module is larger")
	c.Flags().BoolFunc("tinygo", "compile with TinyGo, as --lang tinygo", func(text string) error {
		on, err := strconv.ParseBool(text)
		if on {
			o.Language = toolchain.TinyGo
		}
		return err
	})
}

// languageValue is a language as a flag.
type languageValue toolchain.Language

func (v *languageValue) String() string { return string(*v) }
func (*languageValue) Type() string     { return "language" }
func (v *languageValue) Set(text string) error {
	l, err := scaffold.ParseLanguage(text)
	if err == nil {
		*v = languageValue(l)
	}
	return err
}

func folderOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// rehearsals is how many passes a test makes.
const rehearsals = 50

// rehearse takes a policy through passes that are made up. One that traps is built again with its debug information, which says
// where. A policy's own errors are its own affair: it may not like what is made up.
func (a *app) rehearse(ctx context.Context, folder string, o scaffold.BuildOptions) error {
	if text, err := os.ReadFile(filepath.Join(folder, scaffold.ManifestFile)); err != nil {
		return err
	} else if m, err := plugins.ParseManifest(text); err != nil || m.Kind != wasmabi.KindPolicy {
		return err // adapters have no passes
	}
	found, err := a.bench(ctx, []string{folder}, rehearsals, "", o)
	if err != nil || !trapped(found) {
		return err
	}
	o.Debug = true
	if again, err := a.bench(ctx, []string{folder}, rehearsals, "", o); err == nil && trapped(again) {
		found = again
	}
	return failedIn(found)
}

func trapped(r *report.Report) bool {
	f := r.Modules[0].Failure
	return f != nil && slices.Contains([]string{"call.trap", "call.fuel", "call.memory", "call.stack"}, f.Code)
}

// findDaemon looks beside this program, then in PATH.
func findDaemon() (path string, found bool) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), daemon)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, true
		}
	}
	path, err := exec.LookPath(daemon)
	return path, err == nil
}

// check runs the daemon's own intake over a module. What it says goes to the person as it is.
func (a *app) check(ctx context.Context, checker string, module []byte) error {
	file, err := os.CreateTemp("", "edgehold-*.wasm")
	if err != nil {
		return fmt.Errorf("check the module: %w", err)
	}
	defer os.Remove(file.Name())
	if _, err := file.Write(module); err != nil {
		return errors.Join(fmt.Errorf("check the module: %w", err), file.Close())
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("check the module: %w", err)
	}
	command := exec.CommandContext(ctx, checker, "check", file.Name())
	command.Stdout, command.Stderr = a.err, a.err
	if err := command.Run(); err != nil {
		return &cli.Failure{Attempt: "check the module with " + checker, Code: "policy.check-failed", Why: "a node would not take it", Hint: "see what " + daemon + " printed above"}
	}
	return nil
}
