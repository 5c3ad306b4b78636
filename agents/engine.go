package agents

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Engine runs one loop for each binding and one plan scheduler for all of them.
// Its methods may be called from any goroutine, before and during Run.
type Engine struct {
	c     Config
	queue chan *pending              // closed by Run when no loop is left to send
	stuck map[string]<-chan struct{} // of the scheduler: by mechanism, closed when the command that hangs returns

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	stopped bool
	mode    Mode
	loops   map[Key]*loop
	wg      sync.WaitGroup // loops and hooks
}

// errUnbound is the cause with which a loop ends when its binding does.
var errUnbound = errors.New("unbound")

// New returns an engine that does nothing until Run.
func New(c Config) (*Engine, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure the engine: %w", err)
	}
	c = c.withDefaults()
	return &Engine{c: c, queue: make(chan *pending, c.Queue), stuck: make(map[string]<-chan struct{}), mode: c.Mode, loops: make(map[Key]*loop)}, nil
}

// Run closes what a crash left open, then runs every loop until ctx ends and all
// that it started has ended. Settings are left standing: what happens to them
// when the agent goes is for the mechanisms to say.
func (e *Engine) Run(ctx context.Context) error {
	e.recover(ctx)
	if err := e.start(ctx); err != nil {
		return err
	}
	scheduled := make(chan struct{})
	go func() {
		defer close(scheduled)
		e.schedule()
	}()
	<-ctx.Done()
	e.mu.Lock()
	e.stopped = true
	e.mu.Unlock()
	e.wg.Wait()
	close(e.queue)
	<-scheduled
	return nil
}

func (e *Engine) start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx != nil {
		return errors.New("run the engine: it has run before")
	}
	e.ctx = ctx
	for _, l := range e.loops {
		e.launch(l)
	}
	return nil
}

// launch starts a loop; e.mu is held.
func (e *Engine) launch(l *loop) {
	ctx, cancel := context.WithCancelCause(e.ctx)
	l.cancel = cancel
	l.started = true
	e.wg.Go(func() {
		defer cancel(nil)
		l.run(ctx)
		if errors.Is(context.Cause(ctx), errUnbound) {
			e.forget(l)
		}
		close(l.done)
	})
}

// forget frees the key of a loop that has ended.
func (e *Engine) forget(l *loop) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.loops, l.b.Key)
}

// Bind puts a policy in charge of an asset. Its first episode runs at once.
func (e *Engine) Bind(ctx context.Context, b Binding) error {
	if err := b.Validate(); err != nil {
		return fmt.Errorf("bind %s: %w", b.Key, err)
	}
	state, err := e.load(ctx, b)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return fmt.Errorf("bind %s: the engine has stopped", b.Key)
	}
	if _, ok := e.loops[b.Key]; ok {
		return &Error{Code: "policy.already-bound", What: "bind " + b.Key.String(),
			Why: "a version of it is bound already", Hint: "replace it instead"}
	}
	l := newLoop(e, b, state, e.mode)
	e.loops[b.Key] = l
	if e.ctx != nil {
		e.launch(l)
	}
	return nil
}

func (e *Engine) load(ctx context.Context, b Binding) ([]byte, error) {
	state, _, err := e.c.Contexts.Load(ctx, b.Key.Policy, string(b.Key.Asset), b.Schema)
	if err != nil {
		return nil, fmt.Errorf("bind %s: load its context: %w", b.Key, err)
	}
	return state, nil
}

// Unbind ends the loop, waits for a plan of it that is being applied, and
// releases what it holds. Until it has, also if ctx ends first, the key stays
// taken: a successor must not find its knobs released by its predecessor.
func (e *Engine) Unbind(ctx context.Context, k Key) error {
	l, err := e.find(k)
	if err != nil {
		return err
	}
	if l.discard() {
		return nil
	}
	l.cancel(errUnbound)
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("unbind %s: wait for its loop: %w", k, ctx.Err())
	}
}

// Replace swaps in another version between two episodes. The context is handed
// over, migrated if the schema differs, and what the old version set stays until
// the new one decides otherwise. If the migration fails, the old version stays.
func (e *Engine) Replace(ctx context.Context, b Binding) error {
	if err := b.Validate(); err != nil {
		return fmt.Errorf("replace %s: %w", b.Key, err)
	}
	l, err := e.find(b.Key)
	if err != nil {
		return err
	}
	var swapped error
	if err := l.do(ctx, func(ctx context.Context) { swapped = l.replace(ctx, b) }); err != nil {
		return fmt.Errorf("replace %s: %w", b.Key, err)
	}
	return swapped
}

// Trigger runs an episode now and returns the decision that it came to.
func (e *Engine) Trigger(ctx context.Context, k Key, by string) (Decision, error) {
	l, err := e.find(k)
	if err != nil {
		return Decision{}, err
	}
	var d Decision
	var refused error
	if err := l.do(ctx, func(ctx context.Context) { d, refused = l.trigger(ctx, by) }); err != nil {
		return Decision{}, fmt.Errorf("trigger %s: %w", k, err)
	}
	return d, refused
}

// SetMode changes which policies may run. A policy that it turns off releases
// what it holds.
func (e *Engine) SetMode(ctx context.Context, m Mode) error {
	if m != Heuristic && m != ML {
		return &Error{Code: "mode.unknown", What: fmt.Sprintf("set the mode to %q", m),
			Why: "there is no such mode", Hint: "use heuristic or ml"}
	}
	e.mu.Lock()
	e.mode = m
	loops := slices.Collect(maps.Values(e.loops))
	e.mu.Unlock()
	for _, l := range loops {
		err := l.do(ctx, func(ctx context.Context) { l.setMode(ctx, m) })
		if err != nil && !errors.Is(err, errUnbound) {
			return fmt.Errorf("set the mode to %s: %w", m, err)
		}
	}
	return nil
}

// Mode returns the management mode.
func (e *Engine) Mode() Mode {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mode
}

// Status tells of every loop, in the order of their names.
func (e *Engine) Status() []Status {
	e.mu.Lock()
	loops := slices.Collect(maps.Values(e.loops))
	e.mu.Unlock()
	all := make([]Status, 0, len(loops))
	for _, l := range loops {
		all = append(all, l.report())
	}
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return all
}

func (e *Engine) find(k Key) (*loop, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l, ok := e.loops[k]; ok {
		return l, nil
	}
	return nil, notBound(k)
}

// unhealthy tells the hook, in a goroutine that Run waits for. Only loops call
// it, so that the group can't be empty meanwhile.
func (e *Engine) unhealthy(u Unhealthy) {
	if e.c.OnUnhealthy == nil {
		return
	}
	e.wg.Go(func() { e.c.OnUnhealthy(e.ctx, u) })
}
