package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

func (a *app) registryCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "registry", Short: "Push artefacts to OCI registries and folders, pull and list them",
		Long: "References are oci://HOST/REPOSITORY:TAG for a registry, or dir:FOLDER:TAG for a folder in the form of an OCI image layout.\n" +
			"Any OCI registry will do. Registries of this machine are reached over plain HTTP, all others over TLS.",
		Example: "  edgehold registry push load-follower.wasm dir:shelf\n  edgehold registry list dir:shelf",
	})
	c.AddCommand(a.registryPush(), a.registryPull(), a.registryList(), a.registryServe())
	return c
}

func (a *app) registryPush() *cobra.Command {
	var f registryFlags
	var o registry.PushOptions
	var bases []string
	c := &cobra.Command{
		Use: "push FILE|FOLDER REFERENCE", Short: "Push a module, a bundle, or everything that an operator publishes", Args: args(2, 2, "a file or folder, and a reference"),
		Long: "A module goes under the reference's tag, or without one under its version. With --delta-from, deltas go with it for nodes that have those versions. " +
			"Of a bundle, the trust metadata goes too. A FOLDER is one that `edgehold trust` publishes: its modules go to REFERENCE/NAME:VERSION with deltas from the versions " +
			"before, those that are there already left alone, and then its metadata.",
		Example: "  edgehold registry push load-follower.wasm dir:shelf --delta-from old.wasm",
	}
	f.add(c)
	c.Flags().StringArrayVar(&bases, "delta-from", nil, "file or reference of an earlier version that a delta is made from; may be repeated")
	c.Flags().BoolVar(&o.Overwrite, "overwrite", false, "let a tag that names another module name this one")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		r, err := registry.Parse(args[1])
		if err != nil {
			return err
		}
		client, err := f.client(a.getenv)
		if err != nil {
			return err
		}
		if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
			return a.publish(c, p, client, r, args[0])
		}
		for _, base := range bases {
			x, err := a.artefact(c.Context(), &f, base)
			if err != nil {
				return err
			}
			o.Bases = append(o.Bases, x.module)
		}
		x, err := a.artefact(c.Context(), &f, args[0])
		if err != nil {
			return err
		}
		return a.push(c, p, client, r, x, o)
	}
	return c
}

func (a *app) push(c *cobra.Command, p *cli.Printer, client *registry.Client, r registry.Reference, x artefact, o registry.PushOptions) error {
	progress := cli.NewProgress(a.err)
	progress.Step("pushing %s", api.FormatBytes(int64(len(x.module))))
	pushed, err := client.Push(c.Context(), r, x.module, o)
	if err == nil && len(x.trust) > 0 {
		err = client.PushMetadata(c.Context(), r, x.trust)
	}
	progress.Done()
	if err != nil {
		return err
	}
	shown := map[string]any{"reference": pushed.Reference.String(), "digest": pushed.Digest, "size_bytes": len(x.module), "deltas": pushed.Deltas, "metadata_files": len(x.trust)}
	return p.Object(shown, pushed.Reference.String(), func(d *cli.Details) {
		d.Text("%s", pushed.Reference)
		d.Line("module %s, %s", pushed.Digest, api.FormatBytes(int64(len(x.module))))
		for _, delta := range pushed.Deltas {
			d.Line("delta from %s, %s (%.1f %%)", delta.Base, api.FormatBytes(delta.Bytes), 100*float64(delta.Bytes)/float64(len(x.module)))
		}
		if len(x.trust) > 0 {
			d.Line("%d files of trust metadata", len(x.trust))
		}
	})
}

func (a *app) registryPull() *cobra.Command {
	var f registryFlags
	var asBundle bool
	var to string
	c := &cobra.Command{
		Use: "pull REFERENCE", Short: "Pull a module into a file", Args: args(1, 1, "a reference"),
		Long:    "Writes NAME.wasm, or with --bundle NAME.bundle, which holds the trust metadata beside it too. An agent pulls by itself: edgehold policy upload oci://...",
		Example: "  edgehold registry push load-follower.wasm dir:shelf\n  edgehold registry pull dir:shelf:1.1.0 --to pulled.wasm",
	}
	f.add(c)
	c.Flags().BoolVar(&asBundle, "bundle", false, "write a bundle, with the trust metadata that lies beside the module")
	c.Flags().StringVar(&to, "to", "", "file to write")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		x, err := a.pull(c.Context(), &f, args[0])
		if err != nil {
			return err
		}
		name := "module"
		if m, err := wasmabi.ReadManifest(x.module); err == nil {
			name = m.Name
		}
		content, suffix := x.module, ".wasm"
		if asBundle {
			if x.trust, err = imagesOf(c.Context(), x.source); err != nil {
				return err
			}
			if content, err = bundleOf(x); err != nil {
				return err
			}
			suffix = ".bundle"
		}
		if to == "" {
			to = filepath.Clean(name + suffix)
		}
		if err := store.ReplaceFile(to, content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", to, err)
		}
		shown := map[string]any{"path": to, "reference": x.from, "digest": store.Digest(x.module), "size_bytes": len(content)}
		return p.Object(shown, to, func(d *cli.Details) {
			d.Text("%s: %s, %s", to, store.Digest(x.module), api.FormatBytes(int64(len(content))))
		})
	}
	return c
}

func bundleOf(x artefact) ([]byte, error) {
	var out bytes.Buffer
	err := bundle.Write(&out, &bundle.Bundle{Module: x.module, Trust: x.trust})
	return out.Bytes(), err
}

func (a *app) registryList() *cobra.Command {
	var f registryFlags
	c := &cobra.Command{
		Use: "list REFERENCE", Short: "List the tags of a repository or folder, and the modules that metadata in it vouches for", Aliases: []string{"ls"}, Args: args(1, 1, "a reference"),
		Example: "  edgehold registry list dir:shelf",
	}
	f.add(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		r, err := registry.Parse(args[0])
		if err != nil {
			return err
		}
		client, err := f.client(a.getenv)
		if err != nil {
			return err
		}
		tags, err := client.Tags(c.Context(), r)
		if err != nil {
			return err
		}
		modules, err := vouchedModules(c.Context(), client.Source(r), r)
		if err != nil {
			return err
		}
		if len(modules) > 0 && !slices.Contains([]string{"json", "yaml"}, a.output) {
			tags = append(tags, modules...)
		}
		return cli.List(p, tagTable, tags, map[string]any{"reference": r.WithTag("").String(), "tags": tags, "modules": modules})
	}
	return c
}

var tagTable = cli.Table[string]{
	Name:    func(tag string) string { return tag },
	Columns: []cli.Column[string]{{Title: "TAG", Text: func(tag string) string { return tag }}},
}
