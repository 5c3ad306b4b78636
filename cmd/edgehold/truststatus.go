package main

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/sign"
)

var trustDocumentTable = cli.Table[api.TrustDocument]{
	Columns: []cli.Column[api.TrustDocument]{
		{Title: "OF", Text: func(d api.TrustDocument) string { return d.Repository }},
		{Title: "ROLE", Text: func(d api.TrustDocument) string { return d.Role }},
		{Title: "VERSION", Right: true, Text: func(d api.TrustDocument) string { return strconv.FormatInt(d.Version, 10) }},
		{Title: "SIGNED", Text: func(d api.TrustDocument) string { return timestamp(d.Issued) }},
		{Title: "EXPIRES", Text: func(d api.TrustDocument) string { return timestamp(d.Expires) }},
		{Title: "EXPIRED", Status: true, Text: func(d api.TrustDocument) string { return yesNo(d.Expired) }},
	},
}

var assignmentTable = cli.Table[api.TrustAssignment]{
	Columns: []cli.Column[api.TrustAssignment]{
		{Title: "POLICY", Text: func(a api.TrustAssignment) string { return a.Policy }},
		{Title: "ASSIGNED", Text: func(a api.TrustAssignment) string { return a.Version }},
		{Title: "RUNNING", Text: func(a api.TrustAssignment) string { return a.Running }},
		{Title: "STATE", Status: true, Text: func(a api.TrustAssignment) string { return string(a.State) }},
		{Title: "REASON", Text: func(a api.TrustAssignment) string { return a.Reason }},
	},
}

func (a *app) trustStatus() *cobra.Command {
	c := &cobra.Command{
		Use: "status", Short: "Show what the agent believes, or with --folder what an operator's folder says", Args: args(0, 0, ""),
		Long:    "Of an agent: the metadata that it believes and until when, when it last asked, and what the director assigns beside what runs.",
		Example: "  edgehold trust status\n  edgehold trust status --folder trust",
	}
	var f trustFolder
	f.flags(c)
	ofAgent := a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		s, err := agent.Trust(ctx)
		if err != nil {
			return err
		}
		return p.Object(s, s.Node, func(d *cli.Details) { describeTrust(d, s) })
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("folder") {
			return ofAgent(c, args)
		}
		return a.folderStatus(&f)
	}
	return c
}

func (a *app) trustUpdate() *cobra.Command {
	c := &cobra.Command{
		Use: "update", Short: "Have the agent ask its source now", Args: args(0, 0, ""),
		Long:    "It asks by itself every trust.interval. What could not be brought up to date or installed is shown with the status, and the exit code is 6 then.",
		Example: "  edgehold trust update",
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		s, err := agent.UpdateTrust(ctx)
		if err != nil {
			return err
		}
		if err := p.Object(s, s.Node, func(d *cli.Details) { describeTrust(d, s) }); err != nil {
			return err
		}
		return trustFault(s)
	})
	return c
}

// trustFault is for scripts: the status says what could not be brought up to date, or was not installed.
func trustFault(s api.TrustStatus) error {
	failed := slices.ContainsFunc(s.Assigned, func(a api.TrustAssignment) bool { return a.State == api.AssignmentFailed })
	if failed || s.LastError != "" {
		return errFault
	}
	return nil
}

func describeTrust(d *cli.Details, s api.TrustStatus) {
	d.Field("Required", map[string]string{"signed": "signed modules only", "unsigned": "nothing: unsigned modules run, and are marked"}[s.Require])
	if !s.Rooted {
		d.Field("Root", "none: every module counts as unsigned")
		return
	}
	d.Field("Source", s.Source)
	d.Field("Node", s.Node)
	d.Fieldf("Modules", "%d on the signed list", s.Modules)
	clock := timestamp(s.Time)
	if s.ClockBehind {
		clock += ", by the signatures: the clock is behind them"
	}
	d.Field("Time", clock)
	d.Field("Updated", timestamp(s.UpdatedAt))
	d.Field("Asked", timestamp(s.TriedAt))
	d.Field("Asks next", timestamp(s.NextAt))
	if s.LastError != "" {
		d.Fieldf("Failed", "%s (%s)", s.LastError, s.LastErrorCode)
	}
	for _, w := range s.Warnings {
		d.Field("Warning", w)
	}
	d.Heading("Believed")
	cli.Rows(d, trustDocumentTable, s.Documents)
	if s.Node != "" {
		d.Heading("Assigned")
		cli.Rows(d, assignmentTable, s.Assigned)
	}
}

var folderDocumentTable = cli.Table[sign.DocumentStatus]{
	Columns: []cli.Column[sign.DocumentStatus]{
		{Title: "OF", Text: func(d sign.DocumentStatus) string { return d.Repository }},
		{Title: "NODE", Text: func(d sign.DocumentStatus) string { return d.Node }},
		{Title: "ROLE", Text: func(d sign.DocumentStatus) string { return d.Role }},
		{Title: "VERSION", Right: true, Text: func(d sign.DocumentStatus) string { return strconv.FormatInt(d.Version, 10) }},
		{Title: "EXPIRES", Text: func(d sign.DocumentStatus) string { return timestamp(d.Expires) }},
		{Title: "EXPIRED", Status: true, Text: func(d sign.DocumentStatus) string { return yesNo(d.Expired) }},
		{Title: "SIGNED BY", Text: func(d sign.DocumentStatus) string { return shortIDs(d.SignedBy) }},
	},
}

var targetTable = cli.Table[sign.Target]{
	Columns: []cli.Column[sign.Target]{
		{Title: "NAME", Text: func(t sign.Target) string { return t.Name }},
		{Title: "VERSION", Text: func(t sign.Target) string { return t.Version }},
		{Title: "KIND", Text: func(t sign.Target) string { return t.Kind }},
		{Title: "SIZE", Right: true, Text: func(t sign.Target) string { return api.FormatBytes(t.Length) }},
		{Title: "DIGEST", Text: func(t sign.Target) string { return shortDigest(t.Digest) }},
	},
}

func shortIDs(ids []string) string {
	var short []string
	for _, id := range ids {
		short = append(short, sign.ShortID(id))
	}
	return list(short)
}

func (a *app) folderStatus(f *trustFolder) error {
	p, err := a.printer()
	if err != nil {
		return err
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	o, err := r.Overview()
	if err != nil {
		return err
	}
	return p.Object(o, f.folder, func(d *cli.Details) { describeFolder(d, o) })
}

func describeFolder(d *cli.Details, o sign.Overview) {
	d.Heading("Published")
	cli.Rows(d, folderDocumentTable, o.Documents)
	d.Heading("Modules")
	cli.Rows(d, targetTable, o.Modules)
	if len(o.Revoked) > 0 {
		d.Heading("Withdrawn")
		for _, digest := range slices.Sorted(maps.Keys(o.Revoked)) {
			d.Line("%s: %s", shortDigest(digest), o.Revoked[digest])
		}
	}
	if len(o.Assignments) > 0 {
		d.Heading("Assigned")
		for _, node := range slices.Sorted(maps.Keys(o.Assignments)) {
			var names []string
			for _, t := range o.Assignments[node] {
				names = append(names, t.Name+"@"+t.Version)
			}
			d.Line("%s: %s", node, list(names))
		}
	}
	if len(o.Pending) > 0 {
		d.Heading("Waiting for signatures")
		for _, p := range o.Pending {
			for _, demand := range p.Demands {
				d.Line("%s: %d of %d by the keys of %s (%s)", p, demand.Have, demand.Need, demand.Of, shortIDs(demand.Keys))
			}
		}
	}
}

// trustWord is what stands behind a module, in a word.
func trustWord(t *api.Trust) string {
	if t == nil {
		return ""
	}
	return string(t.State)
}

// trustLine is what stands behind a module, in a line.
func trustLine(t *api.Trust) string {
	switch {
	case t == nil:
		return ""
	case t.State == api.TrustSigned:
		return "signed by " + shortIDs(t.Keys) + " as " + t.Target
	case t.Reason == "":
		return string(t.State)
	}
	return string(t.State) + ": " + t.Reason
}
