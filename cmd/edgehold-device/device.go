package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/edgehold/edgehold/lwm2m/device"
)

// errReboot asks for a new start of the program: what a server's Reboot comes to here.
var errReboot = errors.New("reboot")

func runDevice(ctx context.Context, args []string, _, errs io.Writer) error {
	c, log, err := configure("run", args, errs)
	if err != nil {
		return err
	}
	beSmall()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reboot atomic.Bool
	c.Reboot = func() {
		reboot.Store(true)
		cancel(errReboot)
	}
	d, err := device.New(ctx, c)
	if err != nil {
		return explain("device.start", "start device "+c.Endpoint, err, startHint(err, c.StateDir))
	}
	if at := d.Addresses(); len(at) > 0 {
		log.Info("values for routes come in", "addresses", at)
	}
	settled := make(chan struct{})
	go func() {
		staySmall(ctx)
		close(settled)
	}()
	err = d.Run(ctx)
	cancel(nil)
	<-settled
	err = errors.Join(err, d.Close())
	if reboot.Load() {
		log.Info("a server has ordered a reboot")
		return again()
	}
	return explain("device.failed", "run device "+c.Endpoint, err, "")
}

// startHint says what to do about a device that can't be made.
func startHint(err error, dir string) string {
	if errors.Is(err, syscall.EADDRINUSE) {
		return "choose another address with --listen, or stop who listens there"
	}
	return "see the folder " + dir + ", and `edgehold-device check` with the same flags"
}

// again starts the program anew in this process's place.
func again() error {
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, os.Args, os.Environ())
	}
	return explain("device.reboot", "start anew", err, "start it by hand, or by a service manager")
}

func checkDevice(_ context.Context, args []string, out, errs io.Writer) error {
	c, _, err := configure("check", args, errs)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "device %s would register with %s and take packages of %d keys\n", c.Endpoint, c.Accounts[0].URI, len(c.TrustKeys))
	return nil
}

func configure(name string, args []string, errs io.Writer) (device.Config, *slog.Logger, error) {
	s, err := parse(name, args, errs)
	if err != nil {
		return device.Config{}, nil, err
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return device.Config{}, nil, &problem{code: "usage.log-level", what: "read the flags", why: fmt.Sprintf("the log level is %q", s.LogLevel), hint: "give debug, info, warn or error"}
	}
	log := slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level}))
	c, err := s.device(log)
	return c, log, err
}
