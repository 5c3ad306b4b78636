package sources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// maxKnown bounds what a worker remembers of names, should a file make up new ones each time.
const maxKnown = 1024

// absentEvery is how often a source is tried that this machine does not have.
const absentEvery = 30 * time.Second

// worker reads one source.
type worker struct {
	runner *Runner
	store  *ring.Store
	source Source
	about  Description
	poke   chan struct{}

	collecting sync.Mutex // held while reading
	batch      *ring.Batch
	known      map[string]bool // metric names that the ring knows about

	mu     sync.Mutex
	status Status
	last   time.Time // when the last collection began
}

// Status is how a source fares.
type Status struct {
	Name     string
	Wanted   bool
	Interval time.Duration // in force
	Asked    time.Duration // the shortest that was asked for
	Runs     uint64
	Errors   uint64
	Samples  uint64
	Duration time.Duration // of the last collection
	CPU      time.Duration // spent in all
	Cost     time.Duration // CPU time of one collection, smoothed
	Err      error         // of the last collection
}

func newWorker(r *Runner, store *ring.Store, source Source) *worker {
	w := &worker{runner: r, store: store, source: source, about: source.Describe(), poke: make(chan struct{}, 1), batch: store.Batch(), known: make(map[string]bool)}
	w.status.Name = w.about.Name
	for _, m := range w.about.Metrics {
		w.introduce(m.Name)
	}
	return w
}

// introduce describes a metric name to the ring the first time that it comes.
func (w *worker) introduce(name string) {
	if w.known[name] || name[len(name)-1] == '*' {
		return
	}
	if len(w.known) >= maxKnown {
		clear(w.known)
	}
	w.known[name] = true
	for _, m := range w.about.Metrics {
		if m.covers(name) {
			_ = w.store.Describe(name, ring.Meta{Kind: m.Kind, Unit: m.Unit, Help: m.Help}) // bounded there
			return
		}
	}
}

func (w *worker) wake() {
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

func (w *worker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.poke:
		case <-timer.C:
		}
		wait, wanted := w.wait()
		if wanted && wait <= 0 {
			w.collect()
			wait, wanted = w.wait()
		}
		if !wanted {
			wait = absentEvery
		}
		timer.Reset(max(wait, time.Millisecond))
	}
}

// wait returns how long the next collection can wait.
func (w *worker) wait() (time.Duration, bool) {
	asked, wanted := w.runner.pace(w.about)
	w.mu.Lock()
	defer w.mu.Unlock()
	every := max(asked, time.Duration(float64(w.status.Cost)/w.runner.config.MaxLoad))
	if errors.Is(w.status.Err, fs.ErrNotExist) {
		every = max(every, absentEvery)
	}
	w.status.Asked, w.status.Interval, w.status.Wanted = asked, every, wanted
	if w.last.IsZero() {
		return 0, wanted
	}
	return every - time.Since(w.last), wanted
}

// collect reads the source once if it is wanted.
func (w *worker) collect() {
	if _, wanted := w.runner.pace(w.about); !wanted {
		return
	}
	w.collecting.Lock()
	defer w.collecting.Unlock()
	begin := time.Now()
	w.mu.Lock()
	w.last = begin
	w.mu.Unlock()

	sink := &Sink{batch: w.batch, keep: w.runner.keeps, introduce: w.introduce, unixMS: w.runner.config.Clock().UnixMilli()}
	runtime.LockOSThread()
	cpu := threadCPU()
	err := w.read(sink)
	w.batch.Commit()
	cpu = threadCPU() - cpu
	runtime.UnlockOSThread()
	w.book(sink.samples, time.Since(begin), cpu, err)
}

// read keeps a parser that panics on what the kernel says from ending the daemon.
func (w *worker) read(sink *Sink) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read source %s: panic: %v\n%s", w.about.Name, p, debug.Stack())
		}
	}()
	return w.source.Collect(sink)
}

func (w *worker) book(samples uint64, took, cpu time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.status
	s.Runs++
	s.Samples += samples
	s.Duration = took
	s.CPU += cpu
	s.Cost += (cpu - s.Cost) / 8
	if err != nil {
		s.Errors++
	}
	if (err == nil) != (s.Err == nil) {
		w.tell(err)
	}
	s.Err = err
}

// tell logs that a source began or ceased to fail.
func (w *worker) tell(err error) {
	log := w.runner.config.Logger.With("source", w.about.Name)
	switch {
	case err == nil:
		log.Info("source works again")
	case errors.Is(err, fs.ErrNotExist):
		log.Debug("source is absent on this machine", "error", err)
	default:
		log.Warn("source failed", "error", err)
	}
}

// Status tells how every source fares.
func (r *Runner) Status() []Status {
	all := make([]Status, len(r.workers))
	for i, w := range r.workers {
		w.mu.Lock()
		all[i] = w.status
		w.mu.Unlock()
	}
	return all
}
