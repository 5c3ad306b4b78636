package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/cmd/internal/rehearse/report"
	"github.com/edgehold/edgehold/cmd/internal/scaffold"
)

func (a *app) policyBench() *cobra.Command {
	var build scaffold.BuildOptions
	var passes int
	var decision string
	c := &cobra.Command{
		Use: "bench FILE|FOLDER [OTHER]", Short: "Measure fuel, time and memory of each operation", Args: args(1, 2, "a module or a project, and perhaps another to compare it with"),
		Long: "Takes a module, or what a project builds, through whole passes (init, analyze, plan, snapshot) on a node that is made up from its manifest, with values around " +
			"its parameters and bounds. With --decision every pass sees what that recorded decision saw. Two modules see the same, in turn.\n\n" +
			"Times are wall clock, as an agent sees them. It needs " + daemon + " beside this program or in PATH; only --decision asks an agent.",
		Example: "  edgehold policy bench load-follower.wasm --passes 200\n  edgehold policy bench old.wasm load-follower --passes 200\n" +
			"  edgehold policy bench load-follower.wasm --passes 200 --decision last -o json",
	}
	buildFlags(c, &build)
	c.Flags().IntVar(&passes, "passes", 1000, "how many passes")
	c.Flags().StringVar(&decision, "decision", "", "take what this decision saw, in place of made-up values")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := a.printer()
		if err != nil {
			return err
		}
		found, err := a.bench(c.Context(), args, passes, decision, build)
		if err != nil {
			return err
		}
		if err := cli.List(p, benchTable(found), benchRows(found), found); err != nil {
			return err
		}
		return failedIn(found)
	}
	return c
}

// bench has the daemon's program rehearse modules.
func (a *app) bench(ctx context.Context, names []string, passes int, decision string, build scaffold.BuildOptions) (*report.Report, error) {
	const attempt = "measure a policy"
	program, found := findDaemon()
	if !found {
		return nil, &cli.Failure{Attempt: attempt, Code: "policy.no-daemon", Why: "there is no " + daemon + ", which runs modules", Hint: "put it beside edgehold or into the PATH"}
	}
	dir, err := os.MkdirTemp("", "edgehold-bench-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", attempt, err)
	}
	defer os.RemoveAll(dir)
	arguments := []string{"rehearse", "--passes", fmt.Sprint(passes)}
	if decision != "" {
		path, err := a.writeInput(ctx, dir, decision)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, "--input", path)
	}
	for i, name := range names {
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			path := filepath.Join(dir, fmt.Sprintf("%d.wasm", i))
			progress := cli.NewProgress(a.err)
			progress.Step("compiling %s", name)
			_, err := scaffold.Build(ctx, name, path, build)
			progress.Done()
			if err != nil {
				return nil, err
			}
			name = path
		}
		arguments = append(arguments, name)
	}
	var out, errOut bytes.Buffer
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		return nil, &cli.Failure{Attempt: attempt, Code: "policy.bench-failed", Why: strings.TrimPrefix(strings.TrimSpace(errOut.String()), daemon+": "),
			Hint: "see what " + daemon + " check says about the module"}
	}
	result := new(report.Report)
	if err := json.Unmarshal(out.Bytes(), result); err != nil {
		return nil, fmt.Errorf("%s: read what %s found: %w", attempt, program, err)
	}
	return result, nil
}

// writeInput asks the agent what a decision saw.
func (a *app) writeInput(ctx context.Context, dir, id string) (string, error) {
	agent, err := a.connect()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	if id, err = resolve(ctx, agent, id); err != nil {
		return "", err
	}
	d, err := agent.Decision(ctx, id)
	if err != nil {
		return "", err
	}
	input := report.Input{Source: "decision " + d.ID, Values: []report.MetricValue{}}
	for _, o := range d.Observations {
		if !o.Missing {
			input.Values = append(input.Values, report.MetricValue{Metric: o.Metric, Value: float64(o.Value), AgeMS: o.AgeMS})
		}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return "", fmt.Errorf("take what decision %s saw: %w", id, err)
	}
	path := filepath.Join(dir, "input.json")
	return path, os.WriteFile(path, text, 0o600)
}

// benchRow is one figure of one or two modules.
type benchRow struct {
	figure string
	values [2]float64
	has    [2]bool
	show   func(float64) string
}

func benchRows(r *report.Report) []benchRow {
	rows := []benchRow{
		figureRow(r, "size", bytesText, func(m report.Module) (float64, bool) { return float64(m.SizeBytes), true }),
		figureRow(r, "prepare", durationText, func(m report.Module) (float64, bool) { return float64(m.PrepareNS), true }),
		figureRow(r, "memory", bytesText, func(m report.Module) (float64, bool) { return float64(m.MemoryBytes), true }),
	}
	for _, op := range []string{"init", "analyze", "plan", "snapshot"} {
		for _, f := range []struct {
			name string
			show func(float64) string
			of   func(report.Operation) float64
		}{
			{"fuel", countText, func(o report.Operation) float64 { return float64(o.FuelP50) }},
			{"fuel, most", countText, func(o report.Operation) float64 { return float64(o.FuelMax) }},
			{"time p50", durationText, func(o report.Operation) float64 { return float64(o.P50NS) }},
			{"time p99", durationText, func(o report.Operation) float64 { return float64(o.P99NS) }},
		} {
			rows = append(rows, figureRow(r, op+" "+f.name, f.show, func(m report.Module) (float64, bool) {
				for _, o := range m.Operations {
					if o.Op == op {
						return f.of(o), true
					}
				}
				return 0, false
			}))
		}
	}
	return append(rows, figureRow(r, "passes that planned", countText, func(m report.Module) (float64, bool) { return float64(m.Planned), true }),
		figureRow(r, "passes that failed", countText, func(m report.Module) (float64, bool) { return float64(m.Failures), true }))
}

func figureRow(r *report.Report, figure string, show func(float64) string, of func(report.Module) (float64, bool)) benchRow {
	row := benchRow{figure: figure, show: show}
	for i, m := range r.Modules {
		row.values[i], row.has[i] = of(m)
	}
	return row
}

func bytesText(v float64) string    { return api.FormatBytes(int64(v)) }
func countText(v float64) string    { return fmt.Sprint(uint64(v)) }
func durationText(v float64) string { return roughly(time.Duration(v)).String() }

// roughly leaves three digits or so.
func roughly(d time.Duration) time.Duration {
	step := time.Duration(1)
	for d/step >= 1000 {
		step *= 10
	}
	return d.Round(step)
}

func (r benchRow) value(i int) string {
	if !r.has[i] {
		return "-"
	}
	return r.show(r.values[i])
}

// difference is how much more, or less, the second has.
func (r benchRow) difference() string {
	switch {
	case !r.has[0] || !r.has[1]:
		return ""
	case r.values[0] == r.values[1]:
		return "same"
	case r.values[0] == 0:
		return "more"
	}
	return fmt.Sprintf("%+.0f %%", (r.values[1]/r.values[0]-1)*100)
}

func benchTable(r *report.Report) cli.Table[benchRow] {
	t := cli.Table[benchRow]{Name: func(b benchRow) string { return b.figure }}
	t.Columns = append(t.Columns, cli.Column[benchRow]{Title: "FIGURE", Text: func(b benchRow) string { return b.figure }})
	for i, m := range r.Modules {
		t.Columns = append(t.Columns, cli.Column[benchRow]{Title: cmp.Or(m.Name, "module") + " " + m.Version, Right: true, Text: func(b benchRow) string { return b.value(i) }})
	}
	if len(r.Modules) == 2 {
		t.Columns = append(t.Columns, cli.Column[benchRow]{Title: "CHANGE", Right: true, Text: benchRow.difference})
	}
	return t
}

// failedIn makes the first failure of a guest an error, with the place in its sources.
func failedIn(r *report.Report) error {
	for _, m := range r.Modules {
		if f := m.Failure; f != nil {
			why := f.Message
			for _, at := range f.Stack {
				why += "\nat " + at
			}
			return &cli.Failure{Attempt: fmt.Sprintf("call %s of %s %s in pass %d", f.Op, m.Name, m.Version, f.Pass+1), Code: f.Code, Why: why,
				Hint: "build with --debug if the functions or lines are not named"}
		}
	}
	return nil
}
