package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// replace swaps in b, or leaves everything as it was.
func (l *loop) replace(ctx context.Context, b Binding) error {
	state, err := l.handOver(ctx, b)
	if err != nil {
		return fmt.Errorf("replace %s %s by %s: %w", b.Key, l.b.Version, b.Version, err)
	}
	l.seat = l.e.newSeat(b, state)
	l.stopWatching()
	l.begin(ctx, time.Time{})
	return nil
}

// begin has the version that has just been put in charge look at once.
func (l *loop) begin(ctx context.Context, now time.Time) {
	l.failures, l.faults = 0, 0
	l.wakeAt, l.lastWake, l.deafUntil = time.Time{}, time.Time{}, time.Time{}
	l.periodicAt = now
	switch {
	case l.off():
		l.periodicAt = time.Time{}
		l.stopWatching()
		l.release(ctx, "the mode is heuristic and the new version uses a machine-learning model")
	case l.started:
		l.releaseRevoked(ctx)
		if l.unwatch == nil {
			l.resume()
		}
	}
	l.publish(nil)
}

// handOver returns the context that the new version starts with: the present one
// if it reads it, else what it makes of that, else what it once left itself.
func (l *loop) handOver(ctx context.Context, b Binding) ([]byte, error) {
	return l.e.inherit(ctx, b, l.b.Schema, l.state)
}

// inherit is what a version makes of a context that another one left under schema.
func (e *Engine) inherit(ctx context.Context, b Binding, schema uint32, state []byte) ([]byte, error) {
	if b.Schema == schema || len(state) == 0 {
		return state, nil
	}
	if m, ok := b.Policy.(Migrator); ok {
		state, err := m.Migrate(ctx, schema, bytes.Clone(state))
		if err == nil {
			return state, nil
		}
		if !errors.Is(err, ErrNoMigration) {
			return nil, fmt.Errorf("migrate its context from schema %d to %d: %w", schema, b.Schema, err)
		}
	}
	own, _, err := e.c.Contexts.Load(ctx, b.Key.Policy, string(b.Key.Asset), b.Schema)
	if err != nil {
		return nil, fmt.Errorf("load its context: %w", err)
	}
	return own, nil
}
