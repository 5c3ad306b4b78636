package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/anatomy"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// inspection is what can be told of an artefact.
type inspection struct {
	*api.ManifestSummary
	Digest     string             `json:"digest"`
	Bytes      int                `json:"size_bytes"`
	Reference  string             `json:"reference,omitempty"`
	Toolchain  string             `json:"toolchain"`
	Producers  []anatomy.Producer `json:"producers,omitempty"`
	Imports    []anatomy.Import   `json:"imports,omitempty"`
	Exports    []anatomy.Export   `json:"exports,omitempty"`
	Functions  int                `json:"functions"`
	Named      bool               `json:"function_names"`
	Signatures string             `json:"signatures"`
	Grants     []api.Grant        `json:"grants,omitempty"`
	Refusal    string             `json:"refusal,omitempty"`
	Workload   *ports             `json:"workload,omitempty"`
}

// ports is what a workload takes, gives and asks of its device.
type ports struct {
	Inputs     []string `json:"inputs,omitempty"`
	Outputs    []string `json:"outputs,omitempty"`
	Properties []string `json:"properties,omitempty"`
	Knobs      []string `json:"knobs,omitempty"`
	TickMS     uint32   `json:"tick_ms,omitempty"`
}

func portsOf(m *wasmabi.Manifest) *ports {
	if m.Kind != wasmabi.KindWorkload {
		return nil
	}
	w := &m.Workload
	p := &ports{TickMS: w.TickMS}
	for _, i := range w.Inputs {
		p.Inputs = append(p.Inputs, strings.TrimSpace(i.Name+" "+i.Unit))
	}
	for _, o := range w.Outputs {
		p.Outputs = append(p.Outputs, strings.TrimSpace(o.Name+" "+o.Unit))
	}
	for _, r := range w.Properties {
		p.Properties = append(p.Properties, r.Path+because(r.Reason))
	}
	for _, k := range w.Knobs {
		verb := "read "
		if k.Write {
			verb = "set "
		}
		p.Knobs = append(p.Knobs, verb+k.Name+because(k.Reason))
	}
	return p
}

func (p *ports) describe(d *cli.Details) {
	for _, part := range []struct {
		heading string
		lines   []string
	}{{"Inputs", p.Inputs}, {"Outputs", p.Outputs}, {"Reads of its device", p.Properties}, {"Knobs of its device", p.Knobs}} {
		if len(part.lines) > 0 {
			d.Heading(part.heading)
		}
		for _, line := range part.lines {
			d.Line("%s", line)
		}
	}
	if p.TickMS > 0 {
		d.Heading("Runs")
		d.Line("every %s, and when an input comes", time.Duration(p.TickMS)*time.Millisecond)
	}
}

func (a *app) policyInspect() *cobra.Command {
	var f registryFlags
	var root, trust string
	var ask bool
	c := &cobra.Command{
		Use: "inspect FILE|REFERENCE", Short: "Show what an artefact says about itself", Args: args(1, 1, "a module, a bundle or a reference"),
		Long: "Shows manifest, digest, what the module is made of, and who signed it if --root names the root of trust. " +
			"No agent is asked, unless with --agent: then what the module asks for, what the operator allows and what the node offers stand side by side. Nothing is stored.",
		Example: "  edgehold policy inspect load-follower.wasm\n  edgehold policy inspect load-follower.wasm --agent",
	}
	f.add(c)
	c.Flags().StringVar(&root, "root", "", "root of trust, pin.json, that signatures are checked against")
	c.Flags().StringVar(&trust, "trust", "", "folder with trust metadata, in place of what came with the artefact")
	c.Flags().BoolVar(&ask, "agent", false, "ask the agent what it would grant")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		x, err := a.artefact(c.Context(), &f, args[0])
		if err != nil {
			return err
		}
		i, err := inspect(x)
		if err != nil {
			return err
		}
		i.Signatures = describeSignature(c.Context(), x, root, trust)
		if ask {
			if err := a.askGrants(c, x, i); err != nil {
				return err
			}
		}
		return p.Object(i, i.name(), i.describe)
	}
	return c
}

func (i *inspection) name() string {
	if i.ManifestSummary == nil {
		return i.Digest
	}
	return i.Name
}

func inspect(x artefact) (*inspection, error) {
	i := &inspection{Digest: store.Digest(x.module), Bytes: len(x.module), Reference: x.from}
	parts, err := anatomy.Read(x.module)
	m, manifestErr := wasmabi.ReadManifest(x.module)
	if manifestErr == nil {
		s := summarize(m)
		i.ManifestSummary, i.Workload = &s, portsOf(m)
	} else if err != nil {
		return nil, manifestErr
	}
	if err != nil { // it has a manifest, and may be broken elsewhere
		i.Toolchain = "unknown: " + err.Error()
		return i, nil
	}
	i.Toolchain, i.Producers, i.Imports, i.Exports = parts.Toolchain(), parts.Producers, parts.Imports, parts.Exports
	i.Functions = len(parts.Functions)
	for _, f := range parts.Functions {
		i.Named = i.Named || f.Name != ""
	}
	return i, nil
}

// describeSignature says in words what stands behind an artefact.
func describeSignature(ctx context.Context, x artefact, root, trust string) string {
	if root == "" {
		if len(x.trust) > 0 {
			return fmt.Sprintf("%d files of trust metadata, not checked: name the root of trust with --root", len(x.trust))
		}
		return "not checked"
	}
	v, err := x.signature(ctx, root, trust)
	if err != nil {
		return "none that holds: " + err.Error()
	}
	return signedBy(v)
}

func signedBy(v sign.Voucher) string {
	keys := make([]string, len(v.KeyIDs))
	for i, id := range v.KeyIDs {
		keys[i] = sign.ShortID(id)
	}
	return fmt.Sprintf("signed as %s@%s by %s, until %s", v.Name, v.Version, strings.Join(keys, ", "), timestamp(v.Expires))
}

// askGrants has the agent try the module without storing it.
func (a *app) askGrants(c *cobra.Command, x artefact, i *inspection) error {
	agent, err := a.connect()
	if err != nil {
		return err
	}
	ctx, cancel := a.request(c)
	defer cancel()
	result, err := agent.UploadPolicy(ctx, x.module, api.UploadOptions{DryRun: true})
	if cli.Code(err) != "" && strings.HasPrefix(cli.Code(err), "client.") {
		return err
	}
	if err != nil {
		i.Refusal = err.Error()
	}
	i.Grants = result.Grants
	return nil
}

func (i *inspection) describe(d *cli.Details) {
	if i.ManifestSummary != nil {
		describeManifest(d, *i.ManifestSummary)
		describeCapabilities(d, i.Capabilities)
		if i.Workload != nil {
			i.Workload.describe(d)
		}
	} else {
		d.Text("It carries no manifest, so an agent does not know what to give it. Pack one into it with edgehold policy pack.")
	}
	d.Heading("Artefact")
	d.Line("digest: %s", i.Digest)
	d.Line("size: %s", api.FormatBytes(int64(i.Bytes)))
	if i.Reference != "" {
		d.Line("pulled from: %s", i.Reference)
	}
	d.Line("made with: %s", i.Toolchain)
	names := "without names"
	if i.Named {
		names = "with names"
	}
	d.Line("functions: %d, %s", i.Functions, names)
	d.Line("signatures: %s", i.Signatures)
	d.Line("imports: %s", orNone(importsByModule(i.Imports)))
	exports := make([]string, len(i.Exports))
	for n, e := range i.Exports {
		exports[n] = e.Name
	}
	d.Line("exports: %s", orNone(exports))
	if i.Refusal != "" {
		d.Heading("The agent would refuse it")
		d.Line("%s", i.Refusal)
	} else if i.Grants != nil {
		d.Heading("Grants")
		cli.Rows(d, grantTable, i.Grants)
	}
}

func describeCapabilities(d *cli.Details, all []api.ManifestCapability) {
	if len(all) > 0 {
		d.Heading("Ways out")
	}
	for _, c := range all {
		d.Line("%s%s", capabilityText(c), because(c.Reason))
	}
}

func capabilityText(c api.ManifestCapability) string {
	parts := []string{c.Name + ":", c.Kind}
	for _, p := range [][]string{c.Methods, c.Hosts, c.Paths} {
		if len(p) > 0 {
			parts = append(parts, list(p))
		}
	}
	if c.Write {
		parts = append(parts, "to write")
	}
	return strings.Join(append(parts, "up to "+api.FormatBytes(int64(c.Bytes))), " ")
}

// importsByModule is one text for each module that is imported from.
func importsByModule(all []anatomy.Import) (texts []string) {
	names := map[string][]string{}
	var order []string
	for _, i := range all {
		if names[i.Module] == nil {
			order = append(order, i.Module)
		}
		names[i.Module] = append(names[i.Module], i.Name)
	}
	for _, module := range order {
		texts = append(texts, module+" ("+list(names[module])+")")
	}
	return texts
}

func orNone(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return list(all)
}
