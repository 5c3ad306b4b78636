package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/anatomy"
	"github.com/edgehold/edgehold/plugins/rollout"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

func (a *app) trustAdd() *cobra.Command {
	var f registryFlags
	c := &cobra.Command{
		Use: "add FILE|REFERENCE...", Short: "Vouch for modules", Args: args(1, -1, "the file of a module or a bundle, or a reference"),
		Long:    "Each module's structure and manifest are checked first; name and version come from there. The module is published with the metadata.",
		Example: "  edgehold trust add load-follower.wasm --folder trust",
	}
	f.add(c)
	devices := c.Flags().String("devices", "", "pattern of the devices that may run them; by default all for workloads, none for others")
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		for _, argument := range args {
			x, err := a.artefact(c.Context(), &f, argument)
			if err != nil {
				return err
			}
			m, err := checked(argument, x.module)
			if err != nil {
				return err
			}
			m.Devices = *devices
			t, err := r.Add(m)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s@%s is vouched for: %s, %s\n", t.Name, t.Version, t.Digest, api.FormatBytes(t.Length))
		}
		return nil
	})
}

func (a *app) trustParcel() *cobra.Command {
	c := &cobra.Command{
		Use: "parcel POLICY@VERSION", Short: "Write what a device takes: a module behind its signed statement", Args: args(1, 1, "POLICY@VERSION"),
		Long:    "It is what object 9's Package carries. `edgehold device push` makes it by itself; as a file it is for a CoAP server that devices pull from.",
		Example: "  edgehold trust add load-follower.wasm --devices 'sensor-*' --folder trust\n  edgehold trust parcel load-follower@1.1.0 --to load-follower.parcel --folder trust",
	}
	to := c.Flags().String("to", "", "file to write (default: NAME-VERSION.parcel)")
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		wanted, err := editions(c, args)
		if err != nil {
			return err
		}
		raw, err := r.Parcel(wanted[0].Name, wanted[0].Version)
		if err != nil {
			return err
		}
		file := cmp.Or(*to, wanted[0].Name+"-"+wanted[0].Version+".parcel")
		if err := store.ReplaceFile(file, raw, 0o644); err != nil {
			return &sign.Error{Code: "parcel.write", What: "write " + file, Why: err.Error(), Hint: "name a file that can be written with --to", Err: err}
		}
		fmt.Fprintf(a.out, "%s: %s\n", file, api.FormatBytes(int64(len(raw))))
		return nil
	})
}

// checked refuses what no agent would take.
func checked(argument string, raw []byte) (sign.Module, error) {
	what := "vouch for " + argument
	if _, err := anatomy.Read(raw); err != nil {
		return sign.Module{}, &sign.Error{Code: "module.invalid", What: what, Why: err.Error(), Hint: "name a file that `edgehold policy build` wrote", Err: err}
	}
	m, err := wasmabi.ReadManifest(raw)
	if err == nil {
		err = m.Validate()
	}
	if err != nil {
		return sign.Module{}, &sign.Error{Code: "module.no-manifest", What: what, Why: err.Error(), Hint: "build it with `edgehold policy build`, or pack a manifest into it", Err: err}
	}
	return sign.Module{Name: m.Name, Version: m.Version, Kind: m.Kind, Bytes: raw}, nil
}

// editions reads POLICY@VERSION arguments.
func editions(c *cobra.Command, words []string) (all []sign.Wanted, err error) {
	for _, word := range words {
		name, version, ok := strings.Cut(word, "@")
		if !ok || name == "" || version == "" {
			return nil, usage(c, "read "+word, "it is not POLICY@VERSION")
		}
		all = append(all, sign.Wanted{Name: name, Version: version})
	}
	return all, nil
}

func (a *app) trustAssign() *cobra.Command {
	c := &cobra.Command{
		Use: "assign NODE POLICY@VERSION...", Short: "Have the director tell a node what to run", Args: args(2, -1, "a node and POLICY@VERSION"),
		Long: "Each version takes the place of another one of the same policy; other policies stay as they are assigned. Nodes that follow the director\n" +
			"(trust.follow) install it when they next ask, the way the flags say.",
		Example: "  edgehold trust assign node-7 load-follower@1.0.0\n  edgehold trust assign node-7 load-follower@1.1.0 --shadow 10m --canary 5%",
	}
	flags := rolloutFlagsOf(c)
	for _, name := range []string{"supersede", "force"} { // what is assigned supersedes, and forces nothing
		if err := c.Flags().MarkHidden(name); err != nil {
			panic(err)
		}
	}
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		wanted, err := editions(c, args[1:])
		if err != nil {
			return err
		}
		how, err := rolloutOf(c, flags)
		if err != nil {
			return err
		}
		for i := range wanted {
			wanted[i].Rollout = how
		}
		if err := r.Assign(args[0], wanted); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s is to run %s: publish it\n", args[0], strings.Join(args[1:], ", "))
		return nil
	})
}

// rolloutOf is what the flags ask for, refused where every node would refuse it.
func rolloutOf(c *cobra.Command, flags *rolloutFlags) (json.RawMessage, error) {
	start, err := flags.asked(c)
	if err != nil || start == nil {
		return nil, err
	}
	for _, gate := range start.Spec.Gates {
		if _, err := rollout.ParseGate(gate); err != nil {
			return nil, err
		}
	}
	return json.Marshal(start.Spec)
}

func (a *app) trustUnassign() *cobra.Command {
	c := &cobra.Command{
		Use: "unassign NODE POLICY...", Short: "Have the director say nothing more of policies to a node", Args: args(2, -1, "a node and a policy"),
		Long: "What the node runs goes on.", Example: "  edgehold trust unassign node-7 load-follower",
	}
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		if err := r.Unassign(args[0], args[1:]); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s is told nothing of %s any more: publish it\n", args[0], strings.Join(args[1:], ", "))
		return nil
	})
}

func (a *app) trustRevoke() *cobra.Command {
	c := &cobra.Command{
		Use: "revoke POLICY@VERSION...", Short: "Withdraw versions", Args: args(1, -1, "POLICY@VERSION"),
		Long: "No node takes a withdrawn version in or goes back to it. One that runs it goes on, marked as revoked, until it gets another version; the director\n" +
			"stops naming it at once.",
		Example: "  edgehold trust revoke load-follower@1.0.0 --reason 'oscillates on big.LITTLE'",
	}
	reason := c.Flags().String("reason", "", "why, for the people at the nodes")
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		wanted, err := editions(c, args)
		if err != nil {
			return err
		}
		if *reason == "" {
			return usage(c, "withdraw "+strings.Join(args, ", "), "it needs --reason")
		}
		var errs []error
		for _, w := range wanted {
			nodes, err := r.Revoke(w.Name, w.Version, *reason)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(a.out, "%s@%s is withdrawn: publish it\n", w.Name, w.Version)
			if len(nodes) > 0 {
				fmt.Fprintf(a.out, "assign another version to %s\n", strings.Join(nodes, ", "))
			}
		}
		return errors.Join(errs...)
	})
}
