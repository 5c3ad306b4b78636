package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/apiclient"
	"github.com/edgehold/edgehold/cmd/internal/cli"
)

const defaultSocket = "/run/edgehold/edgehold.sock"

// app is one invocation.
type app struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string

	socket, server, tokenFile, caFile, output string
	timeout                                   time.Duration

	client *apiclient.Client
	// now is the clock; nil is the system's.
	now func() time.Time
}

func (a *app) clock() time.Time {
	if a.now == nil {
		return time.Now()
	}
	return a.now()
}

// Main runs one command line and returns the exit code.
func Main(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, getenv func(string) string) int {
	a := &app{in: in, out: out, err: errOut, getenv: getenv}
	defer a.close()
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	code := exitCode(ctx, err)
	if code != exitOK && code != exitUnhealthy && code != exitInterrupted {
		cli.PrintError(errOut, "edgehold", err, cli.AllowsColor(errOut, getenv))
	}
	return code
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "edgehold",
		Short: "Speak to an Edgehold agent, and write policies for it",
		Long: "Edgehold runs policies, which are WebAssembly modules that decide, and mechanisms, which turn knobs of the machine.\n" +
			"This command speaks to an agent, by default over " + defaultSocket + ".\n\n" + exitHelp,
		Example: "  edgehold policy upload load-follower.wasm\n" +
			"  edgehold decision list\n" +
			"  edgehold mechanism apply CPUFrequency policy0/max_frequency=1.8GHz",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, "read the flags", err.Error()) })
	a.rootFlags(root)
	root.AddCommand(a.policyCommand(), a.registryCommand(), a.trustCommand(), a.pluginCommand(), a.mechanismCommand(), a.deviceCommand(), a.decisionCommand(), a.metricCommand(), a.modeCommand(),
		a.doctorCommand(), a.auditCommand(), a.eventCommand(), a.tokenCommand(), a.versionCommand())
	group(root)
	root.InitDefaultCompletionCmd()
	return root
}

func (a *app) rootFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&a.socket, "socket", "", "unix socket of the agent (EDGEHOLD_SOCKET; default "+defaultSocket+")")
	flags.StringVar(&a.server, "server", "", "host:port of an agent, over TLS, in place of a socket (EDGEHOLD_SERVER)")
	flags.StringVar(&a.tokenFile, "token-file", "", "file with the token for --server (EDGEHOLD_TOKEN_FILE)")
	flags.StringVar(&a.caFile, "ca-file", "", "certificates that --server is checked against (EDGEHOLD_CA_FILE)")
	flags.StringVarP(&a.output, "output", "o", string(cli.FormatTable), "table, wide, json, yaml or name")
	flags.DurationVar(&a.timeout, "timeout", 2*time.Minute, "longest time for a request; watching has none")
	root.RegisterFlagCompletionFunc("output", fixed("table", "wide", "json", "yaml", "name"))
}

// usage is an error about the command line of c.
func usage(c *cobra.Command, attempt, why string) error {
	return &cli.UsageError{Attempt: attempt, Why: why, Hint: "see " + c.CommandPath() + " --help"}
}

// group makes a command that only has others below it say so when it is given an unknown one.
func group(c *cobra.Command) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		why := fmt.Sprintf("there is no command %q", args[0])
		if close := c.SuggestionsFor(args[0]); len(close) > 0 {
			why += fmt.Sprintf("; did you mean %s?", strings.Join(close, " or "))
		}
		return usage(c, "run "+c.CommandPath(), why)
	}
	c.Args = cobra.ArbitraryArgs
	c.SuggestionsMinimumDistance = 2
	return c
}

// args checks the number of arguments; what names them for the error.
func args(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		switch {
		case len(given) < least:
			return usage(c, "run "+c.CommandPath(), "it needs "+what)
		case most >= 0 && len(given) > most:
			return usage(c, "run "+c.CommandPath(), fmt.Sprintf("%q is one argument too many", given[most]))
		}
		return nil
	}
}

// connect returns the client, which is made once.
func (a *app) connect() (*apiclient.Client, error) {
	if a.client != nil {
		return a.client, nil
	}
	c, err := a.clientConfig()
	if err != nil {
		return nil, err
	}
	a.client, err = apiclient.New(c)
	if err != nil {
		return nil, &cli.UsageError{Attempt: "choose the agent", Why: err.Error(), Hint: "see edgehold --help"}
	}
	return a.client, nil
}

func (a *app) clientConfig() (apiclient.Config, error) {
	server := cmp.Or(a.server, a.getenv("EDGEHOLD_SERVER"))
	if a.socket != "" && a.server != "" {
		return apiclient.Config{}, &cli.UsageError{Attempt: "choose the agent", Why: "both --socket and --server are given", Hint: "give one of them"}
	}
	if server == "" || a.socket != "" {
		return apiclient.Config{Socket: cmp.Or(a.socket, a.getenv("EDGEHOLD_SOCKET"), defaultSocket)}, nil
	}
	c := apiclient.Config{Server: server, CAFile: cmp.Or(a.caFile, a.getenv("EDGEHOLD_CA_FILE"))}
	path := cmp.Or(a.tokenFile, a.getenv("EDGEHOLD_TOKEN_FILE"))
	if path == "" {
		return c, &cli.UsageError{Attempt: "choose the agent", Why: "--server needs a token", Hint: "name its file with --token-file or EDGEHOLD_TOKEN_FILE"}
	}
	secret, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("read the token: %w", err)
	}
	c.Token = strings.TrimSpace(string(secret))
	return c, nil
}

func (a *app) close() {
	if a.client != nil {
		a.client.Close()
	}
}

// request bounds one request.
func (a *app) request(c *cobra.Command) (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.Context(), a.timeout)
}

// printer writes results as --output asks.
func (a *app) printer() (*cli.Printer, error) {
	format, err := cli.ParseFormat(a.output)
	if err != nil {
		return nil, err
	}
	return &cli.Printer{Out: a.out, Format: format, Color: cli.AllowsColor(a.out, a.getenv)}, nil
}

// agentAndPrinter returns what most commands need: whom to ask, and where to say it.
func (a *app) agentAndPrinter() (*apiclient.Client, *cli.Printer, error) {
	p, err := a.printer()
	if err != nil {
		return nil, nil, err
	}
	agent, err := a.connect()
	return agent, p, err
}

// asking is a command that asks the agent once and prints what it says.
func (a *app) asking(ask func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		agent, p, err := a.agentAndPrinter()
		if err != nil {
			return err
		}
		ctx, cancel := a.request(c)
		defer cancel()
		return slow(ctx, c, a.timeout, ask(ctx, agent, p, args))
	}
}

// watching is a command that prints what the agent says until it is interrupted.
func (a *app) watching(watch func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		agent, p, err := a.agentAndPrinter()
		if err != nil {
			return err
		}
		return watch(c.Context(), agent, p, args)
	}
}

// listing is a command that lists once, or with --watch goes on. It adds the flag.
func listing(a *app, c *cobra.Command, once, always func(ctx context.Context, agent *apiclient.Client, p *cli.Printer, args []string) error) *cobra.Command {
	watch := c.Flags().BoolP("watch", "w", false, "go on and print every change")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *watch {
			return a.watching(always)(c, args)
		}
		return a.asking(once)(c, args)
	}
	return c
}

// more says how to get the next page of a table; JSON and YAML hold the cursor themselves.
func (a *app) more(c *cobra.Command, cursor string) {
	if cursor != "" && (a.output == string(cli.FormatTable) || a.output == string(cli.FormatWide)) {
		fmt.Fprintf(a.err, "more: %s --cursor %s\n", c.CommandPath(), cli.Clean(cursor))
	}
}

// slow says that the command's own deadline passed.
func slow(ctx context.Context, c *cobra.Command, limit time.Duration, err error) error {
	if err != nil && c.Context().Err() == nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &apiclient.ConnectError{Where: "the agent", Code: "client.timeout", Why: "there was no answer within " + limit.String(),
			Hint: "run edgehold doctor, or allow more with --timeout", Err: err}
	}
	return err
}
