package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/edgehold/edgehold/host/internal/compile"
	"github.com/edgehold/edgehold/host/internal/guest"
)

// RunChild makes this process compile one module and exit, if another of its kind started it for that; otherwise it
// returns at once. Programs call it first thing in main, tests in TestMain.
func RunChild() { compile.RunChild() }

// Runtime holds an engine, its cache, and the modules that were prepared with it. It starts no goroutine.
type Runtime struct {
	config  Config
	engine  Engine // Compiler or Interpreter
	dirs    directories
	cache   wazero.CompilationCache // nil without a directory
	linker  *guest.Linker
	modules modules
}

// New makes a Runtime.
func New(ctx context.Context, c Config) (*Runtime, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure the guest runtime: %w", err)
	}
	r := &Runtime{config: c.withDefaults()}
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("start the guest runtime: %w", errors.Join(err, r.Close(ctx)))
	}
	return r, nil
}

func (r *Runtime) open(ctx context.Context) error {
	var err error
	if r.dirs, err = openDirectories(r.config.CacheDir); err != nil {
		return err
	}
	r.pruneCache(ctx)
	engine, kind, err := engineConfig(r.config.Engine)
	if err != nil {
		return err
	}
	r.engine = kind
	if r.dirs.cached() {
		if r.cache, err = wazero.NewCompilationCacheWithDir(r.dirs.engine); err != nil {
			return fmt.Errorf("open the compilation cache: %w", err)
		}
		engine = engine.WithCompilationCache(r.cache)
	}
	r.linker, err = guest.NewLinker(ctx, engine)
	return err
}

// pruneCache gives room back that nobody has used for long.
func (r *Runtime) pruneCache(ctx context.Context) {
	if !r.dirs.cached() {
		return
	}
	before := time.Now().Add(-keepUnused)
	if err := errors.Join(prune(r.dirs.artefacts, before), prune(r.dirs.code, before)); err != nil {
		r.config.Logger.WarnContext(ctx, "cache not pruned", "error", err)
	}
}

// Engine returns what guests are executed by: Compiler or Interpreter.
func (r *Runtime) Engine() Engine { return r.engine }

// Close closes all modules, waits for their sessions to end or for ctx, and gives up the engine.
func (r *Runtime) Close(ctx context.Context) error {
	if err := r.modules.close(ctx); err != nil {
		return fmt.Errorf("close the guest runtime: %w", err)
	}
	var errs []error
	if r.linker != nil {
		errs = append(errs, r.linker.Close(ctx))
	}
	if r.cache != nil {
		errs = append(errs, r.cache.Close(ctx))
	}
	return errors.Join(errs...)
}

// modules is the set of those that are not closed yet.
type modules struct {
	mu     sync.Mutex
	open   map[*Module]struct{}
	closed bool
}

func (s *modules) add(m *Module) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.open == nil {
		s.open = map[*Module]struct{}{}
	}
	s.open[m] = struct{}{}
	return nil
}

func (s *modules) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *modules) remove(m *Module) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, m)
}

func (s *modules) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	var open []*Module
	for m := range s.open {
		open = append(open, m)
	}
	s.mu.Unlock()
	for _, m := range open {
		m.Close()
		select {
		case <-m.gone:
		case <-ctx.Done():
			return fmt.Errorf("wait for the sessions of %s: %w", m.manifest.Name, ctx.Err())
		}
	}
	return nil
}
