package guard

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/edgehold/edgehold/mechanisms"
)

// Openers make a driver from the root that the daemon opened it with, by mechanism name.
type Openers map[string]func(root string) (mechanisms.Driver, error)

// Finder makes drivers that can't be made from a root alone: of the mechanisms that are named, as far as it knows them, from
// what [Config].Late says. They are made when they are needed and not before, since they may cost memory. done ends them.
type Finder func(ctx context.Context, late string, names []string, log *slog.Logger) (drivers []mechanisms.Driver, done func(), err error)

// pipeFD is where the guard finds the pipe.
const pipeFD = 3

// Main is the guard process. It returns the exit code. find may be nil.
func Main(args []string, open Openers, find Finder) int {
	g, err := parse(args, open)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guard:", err)
		return 2
	}
	g.find = find
	// Only the daemon's end, or SIGKILL, ends the guard. SIGPIPE counts: our log may have gone with the daemon.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
	fmt.Println(readyLine)
	if err := g.run(context.Background(), gone(os.NewFile(pipeFD, "daemon"))); err != nil {
		g.log.Error("guard", "error", err)
		return 1
	}
	return 0
}

// gone is closed when the pipe is: the kernel closes it when the daemon dies. Its goroutine lives as long as the process.
func gone(pipe io.Reader) <-chan struct{} {
	ch := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		close(ch)
	}()
	return ch
}

// guard is the process's state.
type guard struct {
	cfg      mechanisms.Config
	grace    time.Duration
	patience time.Duration
	drivers  []mechanisms.Driver
	done     map[mechanisms.LeaseID]time.Duration // overdue leases that were put back, by deadline
	owner    string                               // the supervisor in our daemon, see mechanisms.Owner
	late     string
	find     Finder
	log      *slog.Logger
}

func parse(args []string, open Openers) (*guard, error) {
	g := &guard{done: map[mechanisms.LeaseID]time.Duration{}, log: slog.New(slog.NewTextHandler(os.Stderr, nil)).With("process", "guard")}
	fl := flag.NewFlagSet("guard", flag.ContinueOnError)
	fl.SetOutput(io.Discard)
	fl.StringVar(&g.cfg.Dir, "dir", "", "")
	fl.StringVar(&g.cfg.HandsOff, "hands-off", "", "")
	fl.StringVar(&g.cfg.BootID, "boot-id", "", "")
	fl.StringVar(&g.owner, "owner", "", "")
	fl.StringVar(&g.late, "late", "", "")
	fl.StringVar((*string)(&g.cfg.Exit), "exit", string(mechanisms.ExitRevert), "")
	fl.DurationVar(&g.grace, "grace", 2*time.Second, "")
	fl.DurationVar(&g.patience, "patience", 10*time.Minute, "")
	fl.DurationVar(&g.cfg.DriverPatience, "driver-patience", 0, "")
	fl.Func("driver", "", func(arg string) error { return g.open(arg, open) })
	if err := fl.Parse(args); err != nil {
		return nil, err
	}
	g.cfg.Actor, g.cfg.Logger, g.cfg.LockPatience = "guard", g.log, time.Millisecond
	if len(g.drivers) == 0 && g.late == "" {
		return nil, errors.New("neither --driver nor --late is given")
	}
	return g, g.cfg.Validate()
}

func (g *guard) open(arg string, open Openers) error {
	name, root, ok := strings.Cut(arg, "=")
	if !ok || open[name] == nil {
		return fmt.Errorf("no driver for %q", arg)
	}
	d, err := open[name](root)
	if err != nil {
		return err
	}
	g.drivers = append(g.drivers, d)
	return nil
}

// run watches until the daemon is gone, waits the grace, and puts things back.
func (g *guard) run(ctx context.Context, daemonGone <-chan struct{}) error {
	g.watch(ctx, daemonGone)
	if n, _, err := mechanisms.Peek(g.cfg); err == nil && n == 0 {
		return nil
	}
	if g.adopted() {
		g.log.Info("another daemon has taken over")
		return nil
	}
	return g.restore(ctx)
}

// adopted waits the grace for another daemon and tells whether there is one.
func (g *guard) adopted() bool {
	for waited := time.Duration(0); waited < g.grace; waited += lookForDaemon {
		if g.replaced() {
			return true
		}
		time.Sleep(min(lookForDaemon, g.grace-waited))
	}
	return g.replaced()
}

// lookForDaemon is how often the guard looks for another daemon during the grace.
const lookForDaemon = 100 * time.Millisecond

// replaced tells whether another daemon than ours owns the state folder. Ours may still seem to: while a process dies,
// the kernel closes its pipes and drops its locks one after the other.
func (g *guard) replaced() bool {
	owner := mechanisms.Owner(g.cfg.Dir)
	return owner != "" && owner != g.owner
}

// look is how often the guard reads the leases while the daemon lives.
const look = 500 * time.Millisecond

// watch returns when the daemon is gone.
func (g *guard) watch(ctx context.Context, daemonGone <-chan struct{}) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-daemonGone:
			return
		case <-ticker.C:
			g.overdue(ctx)
		}
		if g.owner == "" { // we were started before the daemon took the folder
			g.owner = mechanisms.Owner(g.cfg.Dir)
		}
	}
}

// overdue puts back the knobs of leases that the daemon should have ended.
func (g *guard) overdue(ctx context.Context) {
	dealtWith := func(l mechanisms.Lease) bool { return g.done[l.ID] == l.Deadline }
	drivers, done := g.with(ctx, func() ([]string, error) { return mechanisms.OverdueNames(g.cfg, g.grace, dealtWith) })
	defer done()
	ended, err := mechanisms.Overdue(ctx, g.cfg, g.grace, dealtWith, drivers...)
	if err != nil {
		g.log.Error("look at leases", "error", err)
		return
	}
	if len(ended.Leases) > 0 {
		g.log.Warn("the daemon does not move: leases ended in its place", "leases", len(ended.Leases), "knobs", len(ended.Changes), "pending", ended.Pending)
	}
	for _, l := range ended.Leases {
		if ended.Pending == 0 {
			g.done[l.ID] = l.Deadline
		}
	}
}

// Pauses between attempts to put back what can't be written.
const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 15 * time.Second
)

// restore puts things back in rounds. Between rounds the state folder is free, so that a daemon can take over.
func (g *guard) restore(ctx context.Context) error {
	retry := firstRetry
	for waited := time.Duration(0); ; {
		if _, err := os.Stat(g.cfg.Dir); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the state folder %s was removed, and with it the old values", g.cfg.Dir)
		}
		left, err := g.round(ctx)
		if err != nil && g.replaced() {
			g.log.Info("another daemon has taken over")
			return nil
		}
		if err == nil && left == 0 {
			g.log.Info("every knob is at its old value")
			return nil
		}
		pause := g.untilNext()
		if pause == 0 {
			pause, retry = retry, min(2*retry, lastRetry)
			waited += pause
		}
		if waited > g.patience {
			return errors.Join(fmt.Errorf("%d knobs could not be put back within %s; the journal keeps their old values for the next start", left, g.patience), err)
		}
		time.Sleep(pause)
	}
}

// round is one short-lived supervisor: registering ends what is overdue, closing follows the exit policy.
func (g *guard) round(ctx context.Context) (left int, err error) {
	s, err := mechanisms.NewSupervisor(g.cfg)
	if err != nil {
		return 0, err
	}
	drivers, done := g.with(ctx, func() ([]string, error) { return s.Unsettled(), nil })
	defer done()
	for _, d := range drivers {
		err = errors.Join(err, s.Register(ctx, d))
	}
	err = errors.Join(err, s.Close(ctx))
	return s.Outstanding(), err
}

// with returns the guard's drivers and those that are found for the names that they lack. done ends the latter.
func (g *guard) with(ctx context.Context, names func() ([]string, error)) (drivers []mechanisms.Driver, done func()) {
	if g.find == nil || g.late == "" {
		return g.drivers, func() {}
	}
	wanted, err := names()
	for _, d := range g.drivers {
		wanted = slices.DeleteFunc(wanted, func(name string) bool { return name == d.Describe().Name })
	}
	if err != nil || len(wanted) == 0 {
		return g.drivers, func() {}
	}
	found, done, err := g.find(ctx, g.late, wanted, g.log)
	if err != nil {
		g.log.Error("find drivers", "mechanisms", wanted, "error", err)
	}
	return append(slices.Clip(g.drivers), found...), done
}

// untilNext is how long the next lease runs on; 0 = none runs, and what is left waits for its hardware.
func (g *guard) untilNext() time.Duration {
	_, deadline, err := mechanisms.Peek(g.cfg)
	if err != nil || deadline == 0 {
		return 0
	}
	return max(deadline-mechanisms.SystemClock{}.Uptime(), time.Millisecond)
}
