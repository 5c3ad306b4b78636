package main

import (
	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/anatomy"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// judgement is one thing that was checked.
type judgement struct {
	Check  string `json:"check"`
	Passed bool   `json:"passed"`
	Detail string `json:"detail"`
}

func (a *app) policyVerify() *cobra.Command {
	var f registryFlags
	var root, trust string
	c := &cobra.Command{
		Use: "verify FILE|REFERENCE", Short: "Say whether a node would take an artefact, without one", Args: args(1, 1, "a module, a bundle or a reference"),
		Long: "Checks form and manifest, signatures if --root names the root of trust, and, where " + daemon + " is beside this program or in PATH, everything that a node " +
			"does before it runs a module, golden vectors included. The exit code is 6 if anything is wrong.",
		Example: "  edgehold policy verify load-follower.wasm",
	}
	f.add(c)
	c.Flags().StringVar(&root, "root", "", "root of trust, pin.json, that signatures are checked against")
	c.Flags().StringVar(&trust, "trust", "", "folder with trust metadata, in place of what came with the artefact")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		x, err := a.artefact(c.Context(), &f, args[0])
		if err != nil {
			return err
		}
		all := a.verify(c, x, root, trust)
		passed := true
		for _, j := range all {
			passed = passed && j.Passed
		}
		shown := map[string]any{"digest": store.Digest(x.module), "passed": passed, "checks": all}
		if err := cli.List(p, judgementTable, all, shown); err != nil || passed {
			return err
		}
		return errFault
	}
	return c
}

var judgementTable = cli.Table[judgement]{
	Name: func(j judgement) string { return j.Check },
	Columns: []cli.Column[judgement]{
		{Title: "CHECK", Text: func(j judgement) string { return j.Check }},
		{Title: "PASSED", Status: true, Text: func(j judgement) string { return yesNo(j.Passed) }},
		{Title: "DETAIL", Text: func(j judgement) string { return j.Detail }},
	},
}

func (a *app) verify(c *cobra.Command, x artefact, root, trust string) []judgement {
	judge := func(check string, err error, detail string) judgement {
		if err != nil {
			return judgement{check, false, err.Error()}
		}
		return judgement{check, true, detail}
	}
	parts, err := anatomy.Read(x.module)
	all := []judgement{judge("form", err, store.Digest(x.module))}
	if err != nil {
		return all
	}
	m, err := wasmabi.ReadManifest(x.module)
	if err != nil {
		return append(all, judge("manifest", err, ""))
	}
	all = append(all, judge("manifest", m.Validate(), m.Name+" "+m.Version+", made with "+parts.Toolchain()), judgement{"engine", true, engine(m.Door)})
	if root != "" {
		v, err := x.signature(c.Context(), root, trust)
		all = append(all, judge("signature", err, signedBy(v)))
	}
	checker, found := findDaemon()
	if !found {
		return append(all, judgement{"intake", true, "not tried: there is no " + daemon + " beside this program or in PATH"})
	}
	return append(all, judge("intake", a.check(c.Context(), checker, x.module), "a node would take it"))
}
