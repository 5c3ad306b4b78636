package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/sign"
)

// trustFolder is the --folder and --keys of the commands that work on an operator's folder.
type trustFolder struct{ folder, keys string }

const defaultTrustFolder = "trust"

func (f *trustFolder) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.folder, "folder", defaultTrustFolder, "the operator's folder")
	c.Flags().StringVar(&f.keys, "keys", "", "folder of the private keys at hand (default: that of the operator's folder with -keys added)")
}

func (f *trustFolder) keysFolder() string {
	if f.keys != "" {
		return f.keys
	}
	return filepath.Clean(f.folder) + "-keys"
}

func (f *trustFolder) open() (*sign.Repository, error) {
	return sign.OpenRepository(f.folder, f.keysFolder(), time.Now)
}

// onFolder is a command on an operator's folder. It adds the flags.
func (a *app) onFolder(c *cobra.Command, run func(r *sign.Repository, p *cli.Printer, args []string) error) *cobra.Command {
	var f trustFolder
	f.flags(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		r, err := f.open()
		if err != nil {
			return err
		}
		return run(r, p, args)
	}
	return c
}

func (a *app) trustCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "trust", Short: "Say whose modules nodes may run, and which; look at what a node believes",
		Long: "An operator's folder holds signed metadata in the manner of TUF and Uptane: images say which modules exist and are vouched for, the director which node runs what.\n" +
			"What lies in published/ is for the nodes, as a plain folder or pushed to a registry; pin.json is what a node's trust begins with (trust.root).\n" +
			"Root keys belong on other machines: see edgehold trust sign.",
		Example: "  edgehold trust init trust\n  edgehold trust add load-follower.wasm\n  edgehold trust assign node-7 load-follower@1.1.0\n  edgehold trust status",
	})
	c.AddCommand(a.trustInit(), a.trustKey(), a.trustAdd(), a.trustFirmware(), a.trustParcel(), a.trustAssign(), a.trustUnassign(), a.trustRevoke(), a.trustSign(), a.trustRefresh(),
		a.trustStatus(), a.trustUpdate())
	return c
}

func (a *app) trustInit() *cobra.Command {
	var o sign.InitOptions
	var elsewhere []string
	f := trustFolder{}
	c := &cobra.Command{
		Use: "init FOLDER", Short: "Make an operator's folder, its keys, and the first roots", Args: args(1, 1, "the name of the folder to make"),
		Long: "Keys are made for every role, each in a file that its owner alone may read. Root keys that were made on other machines are named by their public part;\n" +
			"what needs their signatures waits for them, see edgehold trust sign.",
		Example: "  edgehold trust init trust\n" +
			"  edgehold trust init fleet --root-keys 0 --root-key ada.pub --root-key bob.pub --root-key eve.pub --threshold 2",
	}
	o.Validity = sign.DefaultValidity
	flags := c.Flags()
	flags.StringVar(&f.keys, "keys", "", "folder for the private keys (default: FOLDER-keys)")
	flags.IntVar(&o.RootKeys, "root-keys", 1, "root keys to make here")
	flags.StringArrayVar(&elsewhere, "root-key", nil, "public part of a root key that was made elsewhere; may be repeated")
	flags.IntVar(&o.Threshold, "threshold", 1, "how many root keys must sign")
	for name, days := range map[string]*sign.Days{"root": &o.Validity.Root, "targets": &o.Validity.Targets, "snapshot": &o.Validity.Snapshot, "timestamp": &o.Validity.Timestamp, "director": &o.Validity.Director} {
		flags.IntVar((*int)(days), name+"-days", int(*days), "days for which what the role signs is good")
	}
	c.RunE = func(_ *cobra.Command, args []string) error {
		f.folder, o.Keys, o.Now = args[0], "", time.Now
		o.Keys = f.keysFolder()
		for _, path := range elsewhere {
			k, err := sign.LoadPublicKey(path)
			if err != nil {
				return err
			}
			o.Root = append(o.Root, k)
		}
		r, left, err := sign.Init(f.folder, o)
		if err != nil {
			return err
		}
		for _, k := range o.Root {
			if err := r.NameKey(k); err != nil {
				return err
			}
		}
		fmt.Fprintf(a.out, "%s is ready, its private keys are in %s\n", f.folder, o.Keys)
		if len(left) > 0 {
			return a.lacks(left)
		}
		fmt.Fprintf(a.out, "give nodes %s (trust.root) and %s (trust.source), and move the root keys to another machine\n", r.PinPath(), r.Published())
		return nil
	}
	return c
}

// lacks lists documents that wait for signatures.
func (a *app) lacks(left []sign.Pending) error {
	for _, p := range left {
		for _, d := range p.Demands {
			if d.Have < d.Need {
				fmt.Fprintf(a.out, "%s waits: %d of the %d signatures that %s needs are there\n", p, d.Have, d.Need, d.Of)
			}
		}
	}
	if len(left) > 0 {
		fmt.Fprintln(a.out, "edgehold trust sign --export FILE writes what is to be signed elsewhere")
	}
	return nil
}

func (a *app) trustRefresh() *cobra.Command {
	c := &cobra.Command{
		Use: "refresh", Short: "Sign anew what is about to expire, so that nodes see that nothing is held back", Args: args(0, 0, ""),
		Long:    "Timestamps and snapshots are signed anew each time, lists and roots once half of their time has passed. Run it from a timer, and publish afterwards.",
		Example: "  edgehold trust refresh --folder trust",
	}
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, _ []string) error {
		left, err := r.Refresh()
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s is fresh: publish it\n", r.Published())
		return a.lacks(left)
	})
}
