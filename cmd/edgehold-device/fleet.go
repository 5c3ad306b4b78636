package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"time"

	"github.com/edgehold/edgehold/lwm2m/fleet"
)

// fleetSettings are what the fleet command is told.
type fleetSettings struct {
	fleet.Config
	gateway string
	last    time.Duration // how long the fleet lives, 0: until it is stopped
	every   time.Duration // between reports
}

func (s *fleetSettings) flags(errs io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet("edgehold-device fleet", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.IntVar(&s.Devices, "devices", 1000, "how many devices, 1,048,576 at most")
	flags.StringVar(&s.gateway, "gateway", "coap://127.0.0.1:5683", "the LwM2M server, which must be on this machine")
	flags.StringVar(&s.Prefix, "prefix", "sim-", "what endpoint names begin with, a number follows")
	flags.Float64Var(&s.Rate, "rate", 0, "devices that begin in a second; 0: as many as the gateway takes")
	flags.IntVar(&s.InFlight, "in-flight", 512, "registrations under way at a time, with --rate 0")
	flags.DurationVar(&s.Lifetime, "lifetime", time.Hour, "lifetime of registrations")
	flags.DurationVar(&s.Update, "update", 0, "time between updates; 0: half the lifetime")
	flags.DurationVar(&s.Notify, "notify", time.Minute, "time between notifications of what is observed")
	flags.Float64Var(&s.Sleepers, "sleepers", 0, "share of devices in queue mode, which hear nothing between updates")
	flags.Float64Var(&s.Loss, "loss", 0, "share of datagrams that are lost, in each direction")
	flags.Float64Var(&s.Rebind, "rebind", 0, "share of updates that come from another address")
	flags.Float64Var(&s.Restart, "restart", 0, "share of updates at which a device is reset instead, and registers again")
	flags.Uint64Var(&s.Seed, "seed", 1, "what chance begins with")
	flags.DurationVar(&s.last, "for", 0, "how long; 0: until it is stopped")
	flags.DurationVar(&s.every, "every", time.Second, "time between reports")
	return flags
}

// runFleet is many simulated devices, until it is stopped.
func runFleet(ctx context.Context, args []string, out, errs io.Writer) error {
	var s fleetSettings
	flags := s.flags(errs)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return &problem{code: "usage.flag", what: "run a fleet", why: err.Error(), shown: true}
	case flags.NArg() > 0:
		return &problem{code: "usage.argument", what: "run a fleet", why: "no arguments are taken, and there is " + flags.Arg(0), hint: "see `edgehold-device fleet --help`"}
	}
	var err error
	if s.Target, err = gatewayAddress(ctx, s.gateway); err != nil {
		return err
	}
	f, err := fleet.New(s.Config)
	if err != nil {
		return explain("usage.fleet", "run a fleet", err, "see `edgehold-device fleet --help`")
	}
	if s.last > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.last)
		defer cancel()
	}
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	report := time.NewTicker(max(s.every, 10*time.Millisecond))
	defer report.Stop()
	fmt.Fprintf(out, "%d devices, %s to %s, begin with %v\n", s.Devices, f.Name(0), f.Name(s.Devices-1), s.Target)
	for before := f.Stats(); ; {
		select {
		case err := <-done:
			summary := f.Stats()
			summarise(out, &summary)
			return explain("fleet.failed", "run a fleet", err, "")
		case <-report.C:
			now := f.Stats()
			tell(out, &before, &now)
			before = now
		}
	}
}

// gatewayAddress finds where coap://HOST:PORT is.
func gatewayAddress(ctx context.Context, text string) (netip.AddrPort, error) {
	wrong := func(why string) error {
		return &problem{code: "usage.gateway", what: "find the gateway " + text, why: why, hint: "write it as coap://127.0.0.1:5683"}
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "coap" || u.Hostname() == "" {
		return netip.AddrPort{}, wrong("it is not of the form coap://HOST:PORT")
	}
	port := u.Port()
	if port == "" {
		port = "5683"
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return netip.AddrPort{}, wrong(err.Error())
	}
	hosts, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", u.Hostname())
	if err != nil || len(hosts) == 0 {
		return netip.AddrPort{}, wrong("its host has no IPv4 address")
	}
	return netip.AddrPortFrom(hosts[0].Unmap(), uint16(number)), nil
}

// tell reports what has happened between two moments.
func tell(out io.Writer, before, now *fleet.Stats) {
	fmt.Fprintf(out, "%7d registered  +%d registrations  +%d updates  +%d reads  +%d notifications", now.Registered,
		now.Registrations-before.Registrations, now.Updates-before.Updates, now.Reads-before.Reads, now.Notifications-before.Notifications)
	for _, trouble := range []struct {
		what string
		n    uint64
	}{
		{"repeated", now.Retransmitted - before.Retransmitted}, {"unanswered", now.Unanswered - before.Unanswered},
		{"refused", now.Refused - before.Refused}, {"forgotten by the gateway", now.Unknown - before.Unknown},
	} {
		if trouble.n > 0 {
			fmt.Fprintf(out, "  +%d %s", trouble.n, trouble.what)
		}
	}
	fmt.Fprintln(out)
}

func summarise(out io.Writer, s *fleet.Stats) {
	fmt.Fprintf(out, "registrations: %d of %d begun; %v\n", s.Registrations, s.Begun, &s.Registration)
	fmt.Fprintf(out, "updates: %d; %v\n", s.Updates, &s.Update)
	fmt.Fprintf(out, "reads %d, observations %d (%d cancelled), notifications %d\n", s.Reads, s.Observations, s.Cancelled, s.Notifications)
	fmt.Fprintf(out, "repeated %d, unanswered %d, refused %d, forgotten by the gateway %d\n", s.Retransmitted, s.Unanswered, s.Refused, s.Unknown)
	fmt.Fprintf(out, "lost %d, not heard asleep %d, address changes %d, resets %d\n", s.Lost, s.Overheard, s.Rebound, s.Reset)
}
