package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/lwm2m/device/runner"
)

// Bounds.
const (
	MaxRoutes  = 16
	queueItems = 16               // of one route to another machine, waiting
	sendTime   = 20 * time.Second // for one item, retransmissions included
	maxPayload = runner.MaxValue
)

// Inputs takes values for workloads.
type Inputs interface {
	Deliver(id uint16, input string, v runner.Value, hops int) error
}

// Sender brings an item to another machine.
type Sender interface {
	Send(ctx context.Context, to End, i Item) error
}

// Config is what a Router needs. A nil Sender means that such destinations are refused.
type Config struct {
	Inputs     Inputs
	CoAP, MQTT Sender
	Logger     *slog.Logger
}

// Router carries values by its routes. It may be used by several goroutines.
type Router struct {
	config Config

	mu     sync.RWMutex
	routes map[uint16]*lane
	ctx    context.Context // of Run; nil before and after
	lanes  sync.WaitGroup

	counts struct{ carried, dropped, failed, loops atomic.Uint64 }
}

// Stats are what became of values.
type Stats struct {
	Carried uint64
	Dropped uint64 // since a queue was full
	Failed  uint64 // since nobody took it
	Loops   uint64 // since it had gone round
}

// lane is one route, with a goroutine of its own if it leads to another machine.
type lane struct {
	origin, destination End
	queue               chan Item // nil for a destination on this device
	stop                context.CancelFunc
}

// New makes a Router without routes.
func New(c Config) *Router {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Router{config: c, routes: map[uint16]*lane{}}
}

// Run carries values to other machines until ctx ends.
func (r *Router) Run(ctx context.Context) error {
	r.mu.Lock()
	r.ctx = ctx
	for _, l := range r.routes {
		r.begin(l)
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.ctx = nil
	r.mu.Unlock()
	r.lanes.Wait()
	return ctx.Err()
}

// begin starts what a lane to another machine needs, if the router runs.
func (r *Router) begin(l *lane) {
	if r.ctx == nil || l.queue == nil {
		return
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(r.ctx)
	r.lanes.Go(func() { r.send(ctx, l) })
}

// Errors of Set.
var (
	ErrLoop    = errors.New("the routes would form a loop")
	ErrTooMany = errors.New("there is no room for another route")
	ErrNoWay   = errors.New("this device does not speak the protocol of the destination")
)

// Check tells whether a route could stand beside the others.
func (r *Router) Check(id uint16, origin, destination string) error {
	l, err := r.parse(origin, destination)
	if err != nil {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.acceptable(id, l)
}

func (r *Router) parse(origin, destination string) (*lane, error) {
	from, err := ParseOrigin(origin)
	if err != nil {
		return nil, err
	}
	to, err := ParseDestination(destination)
	if err != nil {
		return nil, err
	}
	l := &lane{origin: from, destination: to}
	if to.Kind != Local {
		if r.sender(to.Kind) == nil {
			return nil, fmt.Errorf("route to %.80q: %w", destination, ErrNoWay)
		}
		l.queue = make(chan Item, queueItems)
	}
	return l, nil
}

func (r *Router) sender(k Kind) Sender {
	if k == CoAP {
		return r.config.CoAP
	}
	return r.config.MQTT
}

func (r *Router) acceptable(id uint16, l *lane) error {
	if _, replaces := r.routes[id]; !replaces && len(r.routes) >= MaxRoutes {
		return ErrTooMany
	}
	if l.origin.Kind == Local && l.destination.Kind == Local && r.reaches(id, l.destination.Workload, l.origin.Workload, nil) {
		return fmt.Errorf("from workload %d to %d: %w", l.origin.Workload, l.destination.Workload, ErrLoop)
	}
	return nil
}

// reaches reports whether values of a workload come to another one on this device, without the route that is about to be replaced.
func (r *Router) reaches(without, from, to uint16, seen []uint16) bool {
	if from == to {
		return true
	}
	seen = append(seen, from)
	for id, l := range r.routes {
		next := l.destination.Workload
		if id != without && l.origin.Kind == Local && l.destination.Kind == Local && l.origin.Workload == from &&
			!slices.Contains(seen, next) && r.reaches(without, next, to, seen) {
			return true
		}
	}
	return false
}

// Set makes or replaces a route.
func (r *Router) Set(id uint16, origin, destination string) error {
	l, err := r.parse(origin, destination)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.acceptable(id, l); err != nil {
		return err
	}
	r.end(id)
	r.routes[id] = l
	r.begin(l)
	return nil
}

// Remove ends a route. What waits in it is dropped.
func (r *Router) Remove(id uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end(id)
}

func (r *Router) end(id uint16) {
	if l := r.routes[id]; l != nil && l.stop != nil {
		l.stop()
	}
	delete(r.routes, id)
}

// Emit takes an output of a workload.
func (r *Router) Emit(o runner.Output) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, l := range r.routes {
		if l.origin.Kind == Local && l.origin.Workload == o.Workload && l.origin.Name == o.Name {
			r.carry(l, itemOf(o))
		}
	}
}

// Post takes what came to a path of this device, and tells how many routes begin there. An error says that none of them took it.
func (r *Router) Post(path string, i Item) (routes int, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var errs []error
	for _, l := range r.routes {
		if l.origin.Kind == Listen && l.origin.Name == path {
			routes++
			if err := r.carry(l, i); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if len(errs) == routes {
		return routes, errors.Join(errs...)
	}
	return routes, nil
}

// carry puts an item on a lane. It returns at once.
func (r *Router) carry(l *lane, i Item) error {
	if i.Hops >= MaxHops {
		r.counts.loops.Add(1)
		return runner.ErrLoop
	}
	if l.queue == nil {
		err := i.deliver(r.config.Inputs, l.destination)
		r.count(err)
		return err
	}
	for {
		select {
		case l.queue <- i:
			return nil
		default:
		}
		select { // of measurements the newest counts
		case <-l.queue:
			r.counts.dropped.Add(1)
		default:
		}
	}
}

func (r *Router) count(err error) {
	switch {
	case err == nil:
		r.counts.carried.Add(1)
	case errors.Is(err, runner.ErrLoop):
		r.counts.loops.Add(1)
	default:
		r.counts.failed.Add(1)
	}
}

// tellAgain is the least time between two lines about the same host: where routes form a loop each other value is lost.
const tellAgain = time.Minute

// send has what a lane carries sent. A host that is dead is told of once, and when it is back: there may be many values a second, for months.
func (r *Router) send(ctx context.Context, l *lane) {
	lost, told := 0, time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case i := <-l.queue:
			err := r.sendOne(ctx, l, i)
			r.count(err)
			switch {
			case ctx.Err() != nil:
			case err == nil && lost > 0:
				if time.Since(told) > tellAgain || lost > 1 {
					r.config.Logger.Info("values are delivered again", "to", l.destination.Address, "lost", lost)
				}
				lost = 0
			case err != nil:
				if lost++; lost == 1 && time.Since(told) > tellAgain {
					told = time.Now()
					r.config.Logger.Warn("a value was not delivered, nor may be those that follow", "to", l.destination.Address, "error", err)
				}
			}
		}
	}
}

func (r *Router) sendOne(ctx context.Context, l *lane, i Item) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return r.sender(l.destination.Kind).Send(ctx, l.destination, i)
}

// Stats returns what became of values so far.
func (r *Router) Stats() Stats {
	return Stats{Carried: r.counts.carried.Load(), Dropped: r.counts.dropped.Load(), Failed: r.counts.failed.Load(), Loops: r.counts.loops.Load()}
}
