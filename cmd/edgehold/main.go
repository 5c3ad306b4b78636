// Command edgehold is what people type: it speaks to an agent over its HTTP interface, and builds and tests policies on the machine of
// their author.
// It is not the agent (edgeholdd is), holds no state, and links nothing that runs a guest.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
}
