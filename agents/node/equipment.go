package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/plug"
	"github.com/edgehold/edgehold/agents/proxy"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/cpufreq"
	"github.com/edgehold/edgehold/mechanisms/guard"
)

// driver is a mechanism that this program knows.
type driver struct {
	about  mechanisms.Description
	open   func(root string) (mechanisms.Driver, error)
	absent error // what open returns where the machine lacks it
}

var drivers = []driver{{about: new(cpufreq.Driver).Describe(), open: openCPUFreq, absent: cpufreq.ErrNotSupported}}

func openCPUFreq(root string) (mechanisms.Driver, error) {
	d, err := cpufreq.Open(root)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// lacking is how a mechanism is shown that can't be used.
func (d *driver) lacking(why string) api.Mechanism {
	out := describe(d.about)
	out.Unavailable = why
	return out
}

// whyAbsent is the cause of an error, and what to do about it.
func whyAbsent(err error) string {
	why := err.Error()
	var hinted interface{ ErrorHint() string }
	if errors.As(err, &hinted) {
		why += "; " + hinted.ErrorHint()
	}
	return why
}

// GuardMain is the guard process: main hands the subcommand [GuardCommand] to it.
func GuardMain(args []string) int {
	openers := guard.Openers{}
	for _, d := range drivers {
		openers[d.about.Name] = d.open
	}
	openers[proxy.Mechanism] = guardDevices
	return guard.Main(args, openers, plug.Find)
}

// GuardCommand is the hidden subcommand that makes this program a guard.
const GuardCommand = "guard"

func (n *Node) openMechanisms(ctx context.Context, publish func(api.Resource, string, string, string)) error {
	c := n.config.MechanismPlugins
	envelope, err := c.Rules()
	if err != nil {
		return err
	}
	n.supervisor, err = mechanisms.NewSupervisor(mechanisms.Config{
		Dir: n.folder("mechanisms"), Envelope: envelope, Logger: n.log.With("part", "mechanisms"),
		DefaultLease: time.Duration(c.Lease), DriverPatience: time.Duration(c.Patience), Exit: mechanisms.ExitPolicy(c.Exit), Observe: observe(publish),
	})
	if err != nil {
		return err
	}
	n.closes(n.leaveDevices) // after the supervisor has put back what is turned on them
	n.closes(n.leaveGuard)   // after the supervisor has closed, or the guard would revert what Close keeps
	n.closes(n.supervisor.Close)
	n.Mechanisms = &knobs{supervisor: n.supervisor}
	for _, d := range drivers {
		if err := n.openDriver(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) openDriver(ctx context.Context, d driver) error {
	enabled := n.config.MechanismPlugins.Enabled
	if len(enabled) > 0 && !slices.ContainsFunc(append(d.about.Aliases, d.about.Name), func(name string) bool { return slices.Contains(enabled, name) }) {
		n.Mechanisms.lacking = append(n.Mechanisms.lacking, d.lacking("the configuration does not enable it"))
		return nil
	}
	opened, err := d.open(n.config.MechanismPlugins.Root)
	if errors.Is(err, d.absent) {
		n.log.Info("this machine lacks a mechanism", "mechanism", d.about.Name, "reason", err)
		n.Mechanisms.lacking = append(n.Mechanisms.lacking, d.lacking(whyAbsent(err)))
		return nil
	}
	if err != nil {
		return fmt.Errorf("open mechanism %s: %w", d.about.Name, err)
	}
	return n.supervisor.Register(ctx, opened)
}

// keepGuard keeps the guard process alive until [Node.Close]. Without a mechanism, and without anything that an adapter could
// make one of, there is nothing to guard.
func (n *Node) keepGuard(run context.Context) {
	roots := map[string]string{}
	for _, d := range n.supervisor.Describe() {
		roots[d.Name] = n.config.MechanismPlugins.Root
	}
	if n.devices != nil {
		roots[proxy.Mechanism] = n.folder(devicesFolder)
	}
	if len(roots) == 0 && len(n.config.Capabilities) == 0 {
		return
	}
	c := n.config.MechanismPlugins
	ctx, cancel := context.WithCancel(context.Background())
	done, watching := make(chan error, 1), make(chan struct{})
	n.endGuard = func() error { cancel(); return <-done }
	watches := sync.OnceFunc(func() { close(watching) })
	go func() {
		done <- guard.Keep(ctx, guard.Config{
			Args: []string{GuardCommand}, Dir: n.folder("mechanisms"), Drivers: roots, Late: n.folder("adapters"), Grace: time.Duration(c.GuardGrace), DriverPatience: time.Duration(c.Patience),
			Exit: mechanisms.ExitPolicy(c.Exit), Logger: n.log.With("part", "guard"), Stderr: os.Stderr,
			Watching: func(pid int) { n.guardPID.Store(int64(pid)); watches() },
		})
	}()
	select {
	case <-watching:
	case <-run.Done():
	case <-time.After(guardPatience):
		n.log.Error("no guard watches: if this process is killed, knobs stay where policies put them until the next start")
	}
}

// guardPatience is how long the start of policies waits for the guard.
const guardPatience = 30 * time.Second

func (n *Node) leaveGuard(context.Context) error {
	if n.endGuard == nil {
		return nil
	}
	return n.endGuard()
}

// observe turns what happens to knobs into events.
func observe(publish func(api.Resource, string, string, string)) func(mechanisms.Event) {
	kinds := map[string]string{
		mechanisms.EventExpired: api.EventKnobReverted, mechanisms.EventReverted: api.EventKnobReverted,
		mechanisms.EventDrift: api.EventKnobDrifted, mechanisms.EventCommand: api.EventKnobChanged,
	}
	return func(e mechanisms.Event) {
		if kind, ok := kinds[e.Kind]; ok && len(e.Changes) > 0 && e.Outcome != mechanisms.Unchanged {
			publish(api.ResourceMechanism, e.Mechanism, kind, summary(e.Changes))
		}
	}
}
