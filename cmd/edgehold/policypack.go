package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

func (a *app) policyPack() *cobra.Command {
	var manifest, to, trust string
	var asBundle bool
	c := &cobra.Command{
		Use: "pack MODULE", Short: "Pack a manifest into any module, or an artefact into a bundle", Args: args(1, 1, "the module's file"),
		Long: "Whatever compiler made the module: its manifest goes into a section of it, so that its digest covers both. Without --manifest the module has to have one " +
			"already. With --bundle the result is a bundle, which holds the trust metadata in the folder that --trust names too.",
		Example: "  edgehold policy pack load-follower.wasm --manifest load-follower/policy.yaml --to packed.wasm\n" +
			"  edgehold policy pack load-follower.wasm --bundle --to load-follower.bundle",
	}
	c.Flags().StringVar(&manifest, "manifest", "", "policy.yaml to pack into the module")
	c.Flags().StringVar(&to, "to", "", "file to write (default: NAME-VERSION.wasm, or .bundle)")
	c.Flags().BoolVar(&asBundle, "bundle", false, "write a bundle")
	c.Flags().StringVar(&trust, "trust", "", "`folder` that edgehold trust publishes, for the bundle")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		if trust != "" && !asBundle {
			return usage(c, "pack "+args[0], "--trust is for a bundle: add --bundle")
		}
		x, err := a.artefact(c.Context(), &registryFlags{}, args[0])
		if err != nil {
			return err
		}
		m, err := packed(&x, manifest)
		if err != nil {
			return err
		}
		content, suffix := x.module, ".wasm"
		if asBundle {
			if trust != "" {
				if x.trust, err = imagesOf(c.Context(), sign.Folder(trust)); err != nil {
					return err
				}
			}
			if content, err = bundleOf(x); err != nil {
				return err
			}
			suffix = ".bundle"
		}
		if to == "" {
			to = m.Name + "-" + m.Version + suffix
		}
		if err := store.ReplaceFile(to, content, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", to, err)
		}
		digest := store.Digest(x.module)
		shown := map[string]any{"path": to, "size_bytes": len(content), "digest": digest, "metadata_files": len(x.trust), "manifest": summarize(m)}
		return p.Object(shown, to, func(d *cli.Details) {
			d.Text("%s: %s %s, %s, %s", to, m.Name, m.Version, api.FormatBytes(int64(len(content))), digest)
			if asBundle {
				d.Line("%d files of trust metadata", len(x.trust))
			}
		})
	}
	return c
}

// packed packs a policy.yaml into the artefact, if one is named, and returns the manifest that it has then.
func packed(x *artefact, manifest string) (*wasmabi.Manifest, error) {
	if manifest == "" {
		m, err := wasmabi.ReadManifest(x.module)
		var none *wasmabi.SectionError
		if errors.As(err, &none) {
			return nil, &cli.Failure{Attempt: "pack the module", Code: none.Code, Why: none.Problem, Hint: "name its policy.yaml with --manifest"}
		}
		return m, err
	}
	text, err := os.ReadFile(manifest)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	m, err := plugins.ParseManifest(text)
	if err != nil {
		return nil, err
	}
	x.module, err = plugins.Pack(x.module, m)
	return m, err
}
