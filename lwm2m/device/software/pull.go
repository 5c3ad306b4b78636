package software

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/internal/pause"
)

// How often and how far apart a pull that was cut off is tried again, before its result is "connection lost".
const (
	pullAttempts = 8
	pullDelay    = 2 * time.Second // doubled each time
)

// writeURI begins a pull. An empty URI ends one.
func (m *Manager) writeURI(id uint16, r *record, uri string) error {
	if uri == "" {
		next := *r
		if next.State != Initial && next.State != DownloadStarted {
			return fmt.Errorf("package %d is in state %d: %w", id, r.State, client.ErrNotAllowed)
		}
		next.State, next.Result, next.Reason, next.URI = Initial, ResultInitial, "", ""
		delete(m.heads, id)
		return errors.Join(m.keep(id, next), m.disk.dropPart(id))
	}
	if err := m.begin(id, *r, uri); err != nil {
		return err
	}
	if err := m.checkURI(uri); err != nil {
		return m.turnDown(id, err)
	}
	m.wantPull()
	return nil
}

// Run pulls packages, one after the other, until ctx ends. A pull that a loss of power interrupted goes on where it stopped. Meanwhile it starts
// what [Manager.Resume] could not.
func (m *Manager) Run(ctx context.Context) error {
	var reviving sync.WaitGroup
	reviving.Go(func() { m.revive(ctx) })
	defer reviving.Wait()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-m.pull:
		}
		m.pullAll(ctx)
	}
}

// pullAll pulls until nothing is pending. What is pending still after it was pulled, since its state could not be kept, waits a while.
func (m *Manager) pullAll(ctx context.Context) {
	for id, uri, ok := m.pending(); ok && ctx.Err() == nil; {
		m.fetch(ctx, id, uri)
		next, nextURI, more := m.pending()
		if more && next == id && nextURI == uri && !pause.For(ctx, pullDelay) {
			return
		}
		id, uri, ok = next, nextURI, more
	}
}

func (m *Manager) pending() (id uint16, uri string, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		if r := m.records[id]; r.State == DownloadStarted && r.URI != "" {
			return id, r.URI, true
		}
	}
	return 0, "", false
}

// errOver ends a pull whose instance has gone on without it.
var errOver = errors.New("the package is not wanted any more")

func (m *Manager) fetch(ctx context.Context, id uint16, uri string) {
	if err := m.checkURI(uri); err != nil {
		m.giveUp(id, uri, err)
		return
	}
	var err error
	delay := pullDelay
	for range pullAttempts {
		if err = m.config.Fetcher.Fetch(ctx, uri, m.arrived(id), m.sink(id, uri)); err == nil || ctx.Err() != nil || errors.Is(err, errOver) {
			return
		}
		m.config.Logger.Warn("a package does not come", "instance", id, "uri", uri, "error", err)
		if !pause.For(ctx, delay) {
			return
		}
		delay *= 2
	}
	m.giveUp(id, uri, fmt.Errorf("%w: %w", errLost, err))
}

func (m *Manager) arrived(id uint16) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disk.partLength(id)
}

// sink stores what a pull brings, as long as it is wanted. What is refused has its result by then.
func (m *Manager) sink(id uint16, uri string) func(int64, []byte, bool) error {
	return func(offset int64, data []byte, last bool) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if r := m.records[id]; r == nil || r.State != DownloadStarted || r.URI != uri {
			return errOver
		}
		if err := m.take(id, offset, data, last); err != nil {
			if errors.Is(err, client.ErrIncomplete) {
				return err
			}
			return errors.Join(errOver, err)
		}
		return nil
	}
}

func (m *Manager) giveUp(id uint16, uri string, cause error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.records[id]; r != nil && r.State == DownloadStarted && r.URI == uri {
		if err := m.refuse(id, cause); err != nil {
			m.config.Logger.Error("give up a package", "instance", id, "error", err)
		}
	}
}
