//go:build linux

// Command turn turns frequency knobs in a test machine with nothing but the mechanisms: a supervisor, its guard and the
// driver, behind a socket. It is not the daemon: no policy and no interface of the product is in it, so that a failure seen
// here is the mechanism's or the driver's.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/guard"
)

// guardRole makes the program the guard.
const guardRole = "guard"

func open(root string) (mechanisms.Driver, error) { return cpufreq.Open(root) }

func main() {
	if len(os.Args) > 1 && os.Args[1] == guardRole {
		os.Exit(guard.Main(os.Args[2:], guard.Openers{cpufreq.Name: open}, nil))
	}
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: turn STATE-FOLDER SOCKET")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "turn:", err)
		os.Exit(1)
	}
}

// run serves until something fails; a test kills it.
func run(ctx context.Context, dir, socket string) error {
	supervisor, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: dir, DriftEvery: time.Second})
	if err != nil {
		return err
	}
	driver, err := open("/")
	if err != nil {
		return err
	}
	if err := supervisor.Register(ctx, driver); err != nil {
		return err
	}
	os.Remove(socket) //nolint:errcheck // of a killed predecessor, if any
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return guard.Keep(ctx, guard.Config{
			Args: []string{guardRole}, Dir: dir, Drivers: map[string]string{cpufreq.Name: "/"}, Grace: time.Second, Stderr: os.Stderr,
		})
	})
	group.Go(func() error { return supervisor.Run(ctx) })
	group.Go(func() error { return http.Serve(listener, handler(supervisor)) })
	return group.Wait()
}
