package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/agents/doctor"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "doctor", Short: "Find out what is wrong, and what to do about it", Args: args(0, 0, ""),
		Long:    "Has the agent examine its node. If no agent answers, this program makes the checks that need none. A check that fails is exit code 6; a warning is not.",
		Example: "  edgehold doctor\n  edgehold doctor -o json",
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, _ []string) error {
		report, err := agent.Doctor(ctx)
		if err != nil {
			report = examineWithout(ctx, agent.Where(), err)
		}
		if err := p.Object(report, string(report.Status), func(d *cli.Details) { describeReport(d, report) }); err != nil {
			return err
		}
		if report.Status == api.CheckFail {
			return errFault
		}
		return nil
	})
	return c
}

// examineWithout makes the checks that need no agent; that none answers is the first of them.
func examineWithout(ctx context.Context, where string, err error) api.DoctorReport {
	unreachable := doctor.Check{Name: "agent", Run: func(context.Context) doctor.Result {
		return doctor.Result{Status: api.CheckFail, Detail: err.Error(), Hint: hintOf(err)}
	}}
	return doctor.Examine(ctx, append([]doctor.Check{unreachable}, doctor.General(doctor.Machine{Root: "/", Socket: where})...))
}
