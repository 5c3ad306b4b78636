// Command edgehold-plugin runs one Extism plugin for another program of ours, in a process that can be ended: through our door,
// or through the Extism project's SDK. It is not typed by people (edgehold plugin run is) and decides nothing: what to run
// comes in over standard input.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/extism"
	"github.com/edgehold/edgehold/host/extism/helper"
)

func main() {
	host.RunChild()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := helper.Serve(ctx, os.Stdin, os.Stdout, open); err != nil {
		fmt.Fprintln(os.Stderr, helper.Program+":", err)
		os.Exit(1)
	}
}

// open prepares the plugin on the engine that the order names.
func open(ctx context.Context, o *helper.Order) (helper.Plugin, error) {
	switch o.Engine {
	case helper.EngineEdgehold:
		return openDoor(ctx, o)
	case helper.EngineSDK:
		return openSDK(ctx, o)
	}
	return nil, &extism.Error{Attempt: "run a plugin", Code: "extism.engine", Why: fmt.Sprintf("there is no engine %q", o.Engine),
		Hint: "use " + helper.EngineEdgehold + " or " + helper.EngineSDK}
}
