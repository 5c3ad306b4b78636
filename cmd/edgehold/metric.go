package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

func (a *app) metricCommand() *cobra.Command {
	c := group(&cobra.Command{
		Use: "metric", Short: "Query the last minutes of every metric", Aliases: []string{"metrics"},
		Long:    "The agent keeps the last minutes of what it measures and receives. Queries are PromQL.",
		Example: "  edgehold metric list\n  edgehold metric query node_load1\n  edgehold metric range 'rate(node_cpu_seconds_total[30s])' --last 2m",
	})
	c.AddCommand(a.metricList(), a.metricQuery(), a.metricRange())
	return c
}

func (a *app) metricList() *cobra.Command {
	c := &cobra.Command{
		Use: "list [PREFIX]", Short: "List the metrics that the agent holds", Aliases: []string{"ls"}, Args: args(0, 1, ""),
		Example: "  edgehold metric list\n  edgehold metric list node_cpu",
	}
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		items, err := agent.MetricNames(ctx, strings.Join(args, ""))
		if err != nil {
			return err
		}
		return cli.List(p, metricTable, items, api.MetricNameList{Items: items})
	})
	return c
}

func (a *app) metricQuery() *cobra.Command {
	c := &cobra.Command{
		Use: "query EXPRESSION", Short: "Evaluate PromQL now", Args: args(1, 1, "a PromQL expression"),
		Example: "  edgehold metric query node_load1\n  edgehold metric query 'sum by (cpu) (node_cpu_frequency_hertz)' --watch", ValidArgsFunction: a.names(metricNames),
	}
	watch := c.Flags().BoolP("watch", "w", false, "evaluate again and again")
	every := c.Flags().Duration("every", time.Second, "time between two evaluations of --watch")
	once := a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		result, err := agent.Query(ctx, args[0], time.Time{})
		if err != nil {
			return err
		}
		return cli.List(p, sampleTable, samplesOf(result), result)
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if !*watch {
			return once(c, args)
		}
		if *every <= 0 {
			return usage(c, "watch a query", "--every must be positive")
		}
		return repeat(c.Context(), *every, func() error { return once(c, args) })
	}
	return c
}

// repeat calls f until it fails or the context ends.
func repeat(ctx context.Context, every time.Duration, f func() error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := f(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (a *app) metricRange() *cobra.Command {
	c := &cobra.Command{
		Use: "range EXPRESSION", Short: "Evaluate PromQL over the last minutes", Args: args(1, 1, "a PromQL expression"),
		Example: "  edgehold metric range node_load1\n  edgehold metric range node_load1 --last 10m --step 30s -o json", ValidArgsFunction: a.names(metricNames),
	}
	last := c.Flags().Duration("last", 5*time.Minute, "how far to go back")
	step := c.Flags().Duration("step", 15*time.Second, "distance between points")
	c.RunE = a.asking(func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error {
		if *last <= 0 || *step <= 0 {
			return usage(c, "query a range", "--last and --step must be positive")
		}
		now := time.Now()
		result, err := agent.QueryRange(ctx, args[0], api.MetricRange{Start: now.Add(-*last), End: now, Step: *step})
		if err != nil {
			return err
		}
		return cli.List(p, sampleTable, samplesOf(result), result)
	})
	return c
}

// sample is a row: one point of one series.
type sample struct {
	series string
	at     time.Time
	value  api.Float
}

func samplesOf(r api.MetricResult) (rows []sample) {
	for _, s := range r.Series {
		for _, point := range s.Points {
			rows = append(rows, sample{seriesName(s.Labels), time.UnixMilli(point.TimeMS), point.Value})
		}
	}
	return rows
}

// seriesName writes labels as PromQL does.
func seriesName(labels map[string]string) string {
	name := labels["__name__"]
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if key != "__name__" {
			pairs = append(pairs, key+"="+strconv.Quote(labels[key]))
		}
	}
	if len(pairs) == 0 && name != "" {
		return name
	}
	return fmt.Sprintf("%s{%s}", name, strings.Join(pairs, ", "))
}
