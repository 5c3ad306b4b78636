package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/decision"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/agents/node/loop"
	"github.com/edgehold/edgehold/agents/node/trust"
	"github.com/edgehold/edgehold/agents/proxy"
	"github.com/edgehold/edgehold/agents/state"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/telemetry"
	"github.com/edgehold/edgehold/telemetry/trace"
)

// Node is the agent of one machine.
//
// Its life: [Open] takes the state folder, settles what an earlier process left of the knobs, and starts nothing;
// [Node.Run] runs everything until its context ends; [Node.Close] gives all of it back, the knobs by the exit policy.
type Node struct {
	Policies   *policies
	Rollouts   rollouts
	Mechanisms *knobs
	Decisions  *decisions
	Metrics    metrics
	Mode       *mode
	Audit      audit
	Trust      trust.View
	Doctor     examiner

	config     config.Config
	log        *slog.Logger
	db         *state.DB
	supervisor *mechanisms.Supervisor
	telemetry  *telemetry.Pipeline
	runtime    *host.Runtime
	engine     *agents.Engine
	ready      atomic.Bool
	guardPID   atomic.Int64 // 0: no guard has come to watch
	settled    func()
	endGuard   func() error
	devices    *proxy.Proxy // nil: this agent stands for none
	endDevices func()
	closers    []func(context.Context) error // in the order of opening
}

// Options are what a configuration file can't hold.
type Options struct {
	Version string
	Logger  *slog.Logger
	Publish func(api.Event) // events for whoever listens; must not block
	Settled func()          // called when the policies have been the same for a while: a time to give up memory
}

// Open makes a node agent of a valid configuration.
func Open(ctx context.Context, c config.Config, o Options) (_ *Node, err error) {
	n := &Node{config: c, log: o.Logger, settled: o.Settled}
	if n.settled == nil {
		n.settled = func() {}
	}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	publish := publisher(o.Publish)
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close(context.WithoutCancel(ctx)))
		}
	}()
	for _, open := range []func(context.Context) error{
		n.openState, func(ctx context.Context) error { return n.openMechanisms(ctx, publish) }, func(ctx context.Context) error { return n.openTelemetry(ctx, o.Version) }, n.openDevices, n.openRuntime,
	} {
		if err := open(ctx); err != nil {
			return n, err
		}
	}
	return n, n.openEngine(ctx, publish)
}

func publisher(to func(api.Event)) func(api.Resource, string, string, string) {
	return func(resource api.Resource, name, kind, message string) {
		if to != nil {
			to(api.Event{At: time.Now(), Resource: resource, Name: name, Kind: kind, Message: message})
		}
	}
}

func (n *Node) closes(f func(context.Context) error) { n.closers = append(n.closers, f) }

func (n *Node) folder(name string) string { return filepath.Join(n.config.StateDirectory, name) }

func (n *Node) openState(ctx context.Context) error {
	db, err := state.Open(ctx, n.config.StateDirectory, state.Options{Logger: n.log.With("part", "state"), ModuleBytes: n.config.Registry.StoreBytes})
	if err != nil {
		return err
	}
	n.db = db
	n.closes(func(context.Context) error { return db.Close() })
	for _, w := range db.Report().Warnings {
		n.log.Warn("state", "lost", w)
	}
	n.Audit = audit{db}
	return nil
}

func (n *Node) openRuntime(ctx context.Context) error {
	c := hostConfig(&n.config.Guests)
	c.Logger = n.log.With("part", "guest")
	runtime, err := host.New(ctx, c)
	if err != nil {
		return err
	}
	n.runtime = runtime
	n.closes(runtime.Close)
	return nil
}

// hostConfig is how guests are executed.
func hostConfig(g *config.Guests) host.Config {
	return host.Config{
		CacheDir: g.CacheDirectory, Engine: engines[g.Engine], MaxInstances: g.Instances, CompileTime: time.Duration(g.CompileTime),
		Limits: host.Limits{Fuel: g.Fuel, Deadline: time.Duration(g.Deadline), Memory: g.MemoryBytes},
	}
}

var engines = map[string]host.Engine{"auto": host.Auto, "compiler": host.Compiler, "interpreter": host.Interpreter}

func (n *Node) openEngine(ctx context.Context, publish func(api.Resource, string, string, string)) error {
	log, err := decision.Open(ctx, n.db, decision.Options{Logger: n.log.With("part", "decision")})
	if err != nil {
		return err
	}
	start, err := storedMode(ctx, n.db, n.config.ManagementMode)
	if err != nil {
		return err
	}
	judge, err := n.openTrust()
	if err != nil {
		return err
	}
	client, err := n.config.Registry.Client()
	if err != nil {
		return err
	}
	n.closes(func(context.Context) error { client.Close(); return nil })
	adapters, err := n.openAdapters()
	if err != nil {
		return err
	}
	n.Policies = &policies{
		db: n.db, trust: judge, fetcher: &fetcher{client, n.db, judge}, runtime: n.runtime, supervisor: n.supervisor, sensor: loop.NewSensor(n.telemetry, n.supervisor),
		log: n.log.With("part", "policies"), now: time.Now, publish: publish,
		adapters: adapters, exit: mechanisms.ExitPolicy(n.config.MechanismPlugins.Exit), metrics: n.telemetry.Store(), kick: make(chan struct{}, 1), trials: map[string]*trial{},
	}
	n.Rollouts = rollouts{n.Policies}
	n.engine, err = agents.New(agents.Config{
		Sensor: n.Policies.sensor, Actuator: loop.Actuator{Supervisor: n.supervisor}, Log: announcer{log, publish}, Contexts: n.db.Contexts(),
		Tracer: tracer{n.telemetry.Tracer()}, Logger: n.log.With("part", "engine"), Mode: start, Rule: rules[n.config.Arbitration],
		Lease: time.Duration(n.config.MechanismPlugins.Lease), MaxActions: maxActions, OnUnhealthy: n.Policies.unhealthy,
	})
	if err != nil {
		return err
	}
	n.Policies.engine = n.engine
	n.Decisions = &decisions{log: log, policies: n.Policies}
	n.Mode = &mode{db: n.db, engine: n.engine, policies: n.Policies, now: time.Now}
	n.Metrics = metrics{store: n.telemetry.Store(), now: time.Now}
	n.Mechanisms.audit, n.Mechanisms.adapters = n.Policies.audit, n.Policies.adapterOf
	n.closes(n.Policies.closeAdapters) // while their modules can still run
	if err := n.openTrustView(); err != nil {
		return err
	}
	n.Doctor = examiner{n}
	return nil
}

// maxActions is what one plan may ask for: a knob or two of each CPU of the largest machines.
const maxActions = 1024

var rules = map[string]agents.Rule{"knob": agents.PerKnob, "mechanism": agents.PerMechanism}

// Run runs the agent until ctx ends or a part of it fails. ready is called once the stored policies are bound.
func (n *Node) Run(ctx context.Context, ready func()) error {
	n.followDevices()
	n.keepGuard(ctx)
	g, ctx := errgroup.WithContext(ctx)
	run := func(what string, f func(context.Context) error) {
		g.Go(func() error {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		})
	}
	run("keep state", n.db.Run)
	run("keep leases", n.supervisor.Run)
	run("measure", n.telemetry.Run)
	run("run policies", n.engine.Run)
	run("start policies", func(ctx context.Context) error {
		n.telemetry.Sources().Collect()
		if err := n.Policies.start(ctx); err != nil {
			return err
		}
		n.Policies.uploadFolder(ctx, n.config.PolicyPlugins.Directory)
		n.Policies.forgetVouchers()
		n.ready.Store(true)
		ready()
		if n.Trust.Follower != nil {
			run("follow trust", n.Trust.Follower.Run)
		}
		return n.reviewPolicies(ctx)
	})
	return g.Wait()
}

// settleAfter is for how many reviews the policies have to be the same.
const settleAfter = 5

func (n *Node) reviewPolicies(ctx context.Context) error {
	tick := time.NewTicker(reviewEvery)
	defer tick.Stop()
	changes, same := uint64(0), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-n.Policies.kick:
			n.Policies.measure(ctx, false)
			continue
		case <-tick.C:
			n.Policies.review(ctx)
			n.Policies.measure(ctx, true)
		}
		if now := n.Policies.changes.Load(); now != changes {
			changes, same = now, 0
		} else if same++; same == settleAfter {
			n.settled()
		}
	}
}

// Ready reports whether the stored policies are bound.
func (n *Node) Ready() bool { return n.ready.Load() }

// Engine says how guests are executed.
func (n *Node) Engine() string { return n.runtime.Engine().String() }

// Exposition answers Prometheus' scrapes.
func (n *Node) Exposition() http.Handler { return n.telemetry.Metrics() }

// Mirror is a read-only registry of this node's modules.
func (n *Node) Mirror() http.Handler { return registry.Mirror(&shelf{n.db, n.Policies.trust}) }

// Close gives everything back, the last opened first.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		errs = append(errs, n.closers[i](ctx))
	}
	n.closers = nil
	return errors.Join(errs...)
}

// announcer is a decision log that tells listeners of what it records.
type announcer struct {
	*decision.Log
	publish func(resource api.Resource, name, kind, message string)
}

// Finish records a decision and announces it.
func (a announcer) Finish(ctx context.Context, d agents.Decision) error {
	err := a.Log.Finish(ctx, d)
	a.announce(&d)
	return err
}

// Note records a decision that nobody acted on, and announces it unless it was dull.
func (a announcer) Note(d agents.Decision) {
	a.Log.Note(d)
	if d.Outcome != agents.NoPlan {
		a.announce(&d)
	}
}

func (a announcer) announce(d *agents.Decision) {
	a.publish(api.ResourceDecision, d.ID, api.EventDecisionRecorded, string(outcome(d))+": "+why(d))
}

// tracer gives the engine's spans to the telemetry.
type tracer struct{ *trace.Tracer }

func (t tracer) Start(ctx context.Context, name string, attrs ...slog.Attr) (context.Context, agents.Span) {
	return t.Tracer.Start(ctx, name, attrs...)
}
