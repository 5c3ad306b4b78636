package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) auditCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "audit", Short: "Ask who did what",
		Long:    "The agent keeps what people and policies did, and what was refused them. Each entry holds the hash of the one before.",
		Example: "  edgehold audit list --action policy.upload\n  edgehold audit verify",
	})
	c.AddCommand(a.auditList(), a.auditVerify())
	return c
}

func (a *app) auditList() *cobra.Command {
	var filter api.AuditFilter
	c := &cobra.Command{
		Use: "list", Short: "List the audit, newest first", Aliases: []string{"ls"}, Args: args(0, 0, ""),
		Example: "  edgehold audit list\n  edgehold audit list --action policy.upload --target load-follower",
	}
	c.Flags().StringVar(&filter.Action, "action", "", "only this action")
	c.Flags().StringVar(&filter.Target, "target", "", "only this target")
	c.Flags().StringVar(&filter.Cursor, "cursor", "", "go on where the page before ended")
	c.Flags().IntVar(&filter.Limit, "limit", 20, "most items")
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		if filter.Limit < 1 || filter.Limit > 1000 {
			return usage(c, "choose the limit", "it must be between 1 and 1000")
		}
		page, err := agent.Audit(ctx, filter)
		if err != nil {
			return err
		}
		defer a.more(c, page.Next)
		return cli.List(p, auditTable, page.Items, page)
	})
	return c
}

func (a *app) auditVerify() *cobra.Command {
	c := &cobra.Command{
		Use: "verify", Short: "Check that the audit is whole", Args: args(0, 0, ""),
		Long:    "Walks the whole chain of hashes. Keep the hash that is printed elsewhere: it proves later that nothing before it was changed. A broken chain is exit code 6.",
		Example: "  edgehold audit verify",
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		v, err := agent.VerifyAudit(ctx)
		if err != nil {
			return err
		}
		if err := p.Object(v, v.Head, func(d *cli.Details) { describeVerification(d, v) }); err != nil {
			return err
		}
		if !v.Whole {
			return errFault
		}
		return nil
	})
	return c
}
