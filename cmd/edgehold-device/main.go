// Command edgehold-device is a far-edge device: it registers with an LwM2M server, shows its sensors and knobs, and runs workloads that come to
// it signed. It is no server and no agent; README.md beside it has a tour.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is one thing that the program does.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string, out, errs io.Writer) error
}

var commands = []command{
	{"run", "be a device until it is stopped", runDevice},
	{"fleet", "be thousands of simulated devices, for a gateway on this machine", runFleet},
	{"check", "say what is wrong with a configuration, and run nothing", checkDevice},
}

// run returns the exit code: 0, 1 for what failed, 2 for what was typed wrongly.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(out)
		if len(args) == 0 {
			return 2
		}
		return 0
	}
	for _, c := range commands {
		if c.name == args[0] {
			return report(c.run(ctx, args[1:], out, errs), errs)
		}
	}
	return report(&problem{code: "usage.command", what: "run edgehold-device " + args[0], why: "there is no such command", hint: "see `edgehold-device help`"}, errs)
}

func usage(w io.Writer) {
	fmt.Fprint(w, "edgehold-device is a far-edge device.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  edgehold-device %-8s %s\n", c.name, c.about)
	}
	fmt.Fprint(w, "\n`edgehold-device COMMAND --help` tells the flags of one.\n")
}

// report writes an error for a person.
func report(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	var p *problem
	if !errors.As(err, &p) {
		p = &problem{code: "device.failed", what: "run the device", why: err.Error()}
	}
	if p.shown {
		return p.exit()
	}
	fmt.Fprintf(w, "error: %s: %s\n", p.what, p.why)
	if p.hint != "" {
		fmt.Fprintf(w, "  hint: %s\n", p.hint)
	}
	fmt.Fprintf(w, "  code: %s\n", p.code)
	return p.exit()
}
