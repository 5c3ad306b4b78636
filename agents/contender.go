package agents

import (
	"context"
	"sync"
	"time"
)

// Contender is another version of a policy, to run beside the one in charge: on the same passes, with the same
// observation, time and seed, and with contexts of its own. What it plans is compared and not applied, but for the passes
// that it Decides.
type Contender struct {
	Binding Binding // of the key whose loop it joins
	Rollout string  // its id
	// Back has it begin with what it once left itself where it can't take over the present context: whoever goes back must
	// not be kept from it by what the newer version left.
	Back bool
	// Share bounds the time that its passes may take: of one processor, 0 to 1; default 0.05. What is beyond is dropped.
	Share float64
	// Decides says which passes it decides; nil is none. It is called by the loop and has to be quick.
	Decides func(seq uint64) bool
	// Narrow makes of a plan that it decided what it may do, and says what was narrowed; nil narrows nothing.
	Narrow func(Plan, Observation) (Plan, []string)
	// Report gets every pass. It is called by the loop and by the contender, and must not block.
	Report func(Contest)
}

const (
	defaultShare  = 0.05
	contestQueue  = 4                // passes that wait for a contender: enough for a burst of wakes
	budgetWindow  = 10 * time.Second // of budget that can be saved up
	noteSpacing   = time.Second      // between two differences of one contender that go to the log
	minimumBudget = 50 * time.Millisecond
)

// rival is a contender at its loop. Its goroutine runs the shadow passes, one at a time and in the loop's order.
type rival struct {
	e     *Engine
	queue chan job
	quit  context.CancelFunc // nil until it is launched
	done  chan struct{}      // closed when the goroutine has ended

	chain sync.Mutex // held by whoever runs a pass on the seat, or exchanges it
	*seat            // of the version that is not in charge

	mu      sync.Mutex // guards the rest
	c       Contender
	waiting int                // passes that were offered and have not ended
	abandon context.CancelFunc // of the pass that runs; nil if none does
	balance time.Duration
	paid    time.Time // until when the balance has been paid
	noted   time.Time
}

// job is a pass that waits for the contender.
type job struct {
	seat    *seat // that shall run it: after an exchange it has had its turn
	in      Input
	decided Decision
}

func newRival(e *Engine, c Contender, state []byte) *rival {
	if c.Share <= 0 {
		c.Share = defaultShare
	}
	if c.Report == nil {
		c.Report = func(Contest) {}
	}
	r := &rival{e: e, queue: make(chan job, contestQueue), done: make(chan struct{}), seat: e.newSeat(c.Binding, state), c: c, paid: time.Now()}
	r.balance = r.saved()
	return r
}

// saved is how much of the budget can be put aside.
func (r *rival) saved() time.Duration {
	return max(time.Duration(r.c.Share*float64(budgetWindow)), minimumBudget)
}

// launch starts the goroutine; stop ends it. Both do nothing for no rival.
func (r *rival) launch(ctx context.Context) {
	if r == nil {
		return
	}
	ctx, r.quit = context.WithCancel(ctx)
	go r.run(ctx)
}

func (r *rival) stop() {
	if r == nil || r.quit == nil {
		return
	}
	r.quit()
	<-r.done
}

func (r *rival) run(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-r.queue:
			r.shadow(ctx, j)
		}
	}
}

// adjust takes over what may change while a contender runs.
func (r *rival) adjust(c Contender) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Share > 0 {
		r.c.Share = c.Share
	}
	r.c.Decides, r.c.Narrow = c.Decides, c.Narrow
	if c.Report != nil {
		r.c.Report = c.Report
	}
}

func (r *rival) settings() Contender {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.c
}

// offer gives the contender a pass, unless too many wait. It never blocks.
func (r *rival) offer(j job) {
	r.mu.Lock()
	r.waiting++
	r.mu.Unlock()
	select {
	case r.queue <- j:
	default:
		r.ended()
		r.skip(j.decided, QueueFull)
	}
}

func (r *rival) ended() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting--
	r.abandon = nil
}

func (r *rival) skip(decided Decision, why Skip) {
	c := r.settings()
	c.Report(Contest{Key: decided.Key, Rollout: c.Rollout, Decided: decided, Skipped: why})
}

// take makes the seat the caller's, who gives it back by r.chain.Unlock. It fails at once if the contender is behind: its
// contexts would then miss a pass.
func (r *rival) take() bool {
	r.mu.Lock()
	behind := r.waiting > 0
	r.mu.Unlock()
	return !behind && r.chain.TryLock()
}

// shadow runs a pass that has been decided.
func (r *rival) shadow(ctx context.Context, j job) {
	defer r.ended()
	r.chain.Lock()
	defer r.chain.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	switch {
	case j.seat != r.seat:
		return
	case !r.afford(cancel):
		r.skip(j.decided, OverBudget)
		return
	}
	other := shadowOf(&j.decided, r.settings().Rollout)
	began := time.Now()
	_ = r.e.episode(ctx, r.seat, j.in, &other) // it is in other.Failure
	r.charge(time.Since(began))
	if ctx.Err() != nil {
		r.skip(j.decided, NotCounted)
		return
	}
	r.judge(&j.decided, &other)
}

// afford reports whether there is budget left for a pass, which cancel abandons.
func (r *rival) afford(cancel context.CancelFunc) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.balance = min(r.balance+time.Duration(r.c.Share*float64(now.Sub(r.paid))), r.saved())
	r.paid, r.abandon = now, cancel
	return r.balance > 0
}

func (r *rival) charge(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.balance -= took
}

// seize waits for the seat, and has a pass that runs abandoned.
func (r *rival) seize() {
	r.mu.Lock()
	if r.abandon != nil {
		r.abandon()
	}
	r.mu.Unlock()
	r.chain.Lock()
}

// shadowOf begins the decision of a version that runs beside d.
func shadowOf(d *Decision, rollout string) Decision {
	return Decision{
		ID: newID(), TraceID: d.TraceID, Key: d.Key, Priority: d.Priority, Mode: d.Mode, Time: d.Time, Seq: d.Seq, Trigger: d.Trigger,
		Observation: d.Observation, Outcome: Shadowed,
		Part: &Part{Rollout: rollout, Role: Shadow, Other: d.Version, Decision: d.ID},
	}
}

// judge compares, tells, and has a difference written down, at most one in noteSpacing.
func (r *rival) judge(decided, other *Decision) {
	other.Part.Difference = Difference(decided, other)
	if other.Part.Difference != "" {
		other.Reason = other.Part.Difference
		if r.mayNote() {
			r.e.c.Log.Note(*other)
		}
	}
	c := r.settings()
	c.Report(Contest{Key: decided.Key, Rollout: c.Rollout, Decided: *decided, Other: other})
}

func (r *rival) mayNote() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !r.noted.IsZero() && now.Sub(r.noted) < noteSpacing {
		return false
	}
	r.noted = now
	return true
}
