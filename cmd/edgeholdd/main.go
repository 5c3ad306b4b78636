// Command edgeholdd is the Edgehold daemon: the agent of one node.
// It is not what people type: that is edgehold, which speaks to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/node"
	"github.com/edgehold/edgehold/host"
)

func main() {
	host.RunChild() // a module may be compiled in a child of ours; then this does not return
	if len(os.Args) > 1 && os.Args[1] == node.GuardCommand {
		os.Exit(node.GuardMain(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		report(os.Stderr, err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "edgeholdd", Short: "The Edgehold daemon", SilenceUsage: true, SilenceErrors: true,
		Long: "edgeholdd runs the agent of this node: it feeds policies with metrics, runs them in a sandbox and turns the\n" +
			"knobs that they ask for. Speak to it with edgehold.",
	}
	root.AddCommand(runCommand(), checkCommand(), rehearseCommand(), gatewayCommand(), configCommand(), recordedCommand())
	return root
}

// report prints an error as people can use it: what failed, why, what to do, and the code to search for.
func report(w io.Writer, err error) {
	fmt.Fprintf(w, "edgeholdd: %v\n", err)
	var why interface{ ErrorWhy() string }
	if errors.As(err, &why) && why.ErrorWhy() != "" {
		fmt.Fprintf(w, "  why:        %s\n", why.ErrorWhy())
	}
	for _, hint := range hints(err) {
		fmt.Fprintf(w, "  what to do: %s\n", hint)
	}
	var code interface{ ErrorCode() string }
	if errors.As(err, &code) {
		fmt.Fprintf(w, "  code:       %s\n", code.ErrorCode())
	}
}

// hints collects what every joined error says to do: a configuration may have several problems.
func hints(err error) []string {
	switch e := err.(type) {
	case nil:
		return nil
	case interface{ ErrorHint() string }:
		return []string{e.ErrorHint()}
	case interface{ Unwrap() []error }:
		var out []string
		for _, one := range e.Unwrap() {
			out = append(out, hints(one)...)
		}
		return out
	}
	return hints(errors.Unwrap(err))
}
