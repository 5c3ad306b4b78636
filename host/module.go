package host

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/host/internal/pool"
	"github.com/edgehold/edgehold/wasmabi"
)

// Module is a prepared module. Its methods may be used by several goroutines.
type Module struct {
	runtime       *Runtime
	manifest      *wasmabi.Manifest
	digest, image string
	limits        Limits
	program       *guest.Program
	instances     *pool.Pool[*guest.Instance]
	counters      counters
	sources       *sources // nil without debug information

	mu     sync.Mutex
	users  int // sessions
	closed bool
	gone   chan struct{} // closed when everything was given up
}

func newModule(r *Runtime, manifest *wasmabi.Manifest, p *guest.Program, digest, image string, l Limits) *Module {
	m := &Module{runtime: r, manifest: manifest, digest: digest, image: image, limits: l, program: p,
		gone: make(chan struct{})}
	m.instances = pool.New(r.config.MaxInstances, p.Instantiate, func(i *guest.Instance) {
		if err := i.Close(context.Background()); err != nil {
			r.config.Logger.Error("close a guest instance", "policy", manifest.Name, "error", err)
		}
	})
	return m
}

// Digest returns "sha256:" and the hex digest of the bytes that were prepared.
func (m *Module) Digest() string { return m.digest }

// Image returns "sha256:" and the hex digest of the state that sessions start from.
func (m *Module) Image() string { return m.image }

// Manifest returns the module's manifest. It is shared: do not change it.
func (m *Module) Manifest() *wasmabi.Manifest { return m.manifest }

// Limits returns what the module's calls are granted.
func (m *Module) Limits() Limits { return m.limits }

// Stats returns the module's counters.
func (m *Module) Stats() Stats {
	s := m.counters.read()
	s.Instances = m.instances.Idle() + m.instances.Lent()
	return s
}

// Trim gives up idle instances until at most keep are left.
func (m *Module) Trim(keep int) { m.instances.Trim(keep) }

// Close refuses new sessions. What the module holds is given up when the last session has ended; Close does not wait
// for that.
func (m *Module) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	m.closed = true
	if m.users == 0 {
		m.release()
	}
}

func (m *Module) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.users++
	return nil
}

func (m *Module) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users--
	if m.closed && m.users == 0 {
		m.release()
	}
}

// release gives up everything. There are no sessions any more, so the pool has nothing to wait for.
func (m *Module) release() {
	ctx := context.Background()
	err := errors.Join(m.instances.Close(ctx), m.program.Compiled.Close(ctx), m.program.Image.Close())
	if err != nil {
		m.runtime.config.Logger.Error("give up a module", "policy", m.manifest.Name, "error", err)
	}
	m.runtime.modules.remove(m)
	close(m.gone)
}

// Begin starts a session on an instance of its own. With all instances busy it waits for one until ctx ends.
func (m *Module) Begin(ctx context.Context, c SessionConfig) (*Session, error) {
	s, err := m.begin(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("begin a session of %s: %w", m.manifest.Name, err)
	}
	return s, nil
}

func (m *Module) begin(ctx context.Context, c SessionConfig) (*Session, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	i, err := m.instance(ctx, c.Warm)
	if err != nil {
		m.leave()
		return nil, err
	}
	return newSession(m, i, c), nil
}

// instance takes one from the pool. An instance that a warm session left as it was is reset unless it is wanted so.
func (m *Module) instance(ctx context.Context, warm bool) (*guest.Instance, error) {
	for {
		i, err := m.instances.Get(ctx)
		if err != nil || warm || !i.Dirty() || m.reset(i) {
			return i, err
		}
		m.instances.Discard(i)
	}
}

func (m *Module) reset(i *guest.Instance) bool {
	if i.Reset() {
		m.counters.resets.Add(1)
		return true
	}
	m.counters.discards.Add(1)
	return false
}

// giveBack returns an instance to the pool in the state that the next session expects.
func (m *Module) giveBack(i *guest.Instance, keep bool) {
	m.counters.sawMemory(i.MemoryBytes())
	if keep || m.reset(i) {
		m.instances.Put(i)
	} else {
		m.instances.Discard(i)
	}
	m.leave()
}
