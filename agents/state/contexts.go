package state

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"maps"
)

type contextKey struct {
	policy, asset string
	schema        uint32
}

type savedContext struct{ state []byte }

// Contexts keeps what policies leave from one episode to the next. A save goes
// with the next transaction, whosever that is: the one that makes a decision
// durable before it is acted on has the context that the decision left. A crash
// loses at most what was saved since the last transaction or Flush, which is
// what dull episodes of the last second left.
type Contexts struct{ d *DB }

// Contexts returns the contexts' view of the state.
func (d *DB) Contexts() Contexts { return Contexts{d} }

// Load returns what was saved last under the schema.
func (c Contexts) Load(ctx context.Context, policy, asset string, schema uint32) (state []byte, found bool, err error) {
	k := contextKey{policy, asset, schema}
	c.d.ctxMu.Lock()
	saved, waiting := c.d.contexts[k]
	c.d.ctxMu.Unlock()
	if waiting {
		return bytes.Clone(saved.state), true, nil
	}
	err = c.d.read.QueryRowContext(ctx, `SELECT state FROM contexts WHERE policy = ? AND asset = ? AND schema = ?`,
		policy, asset, schema).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	return state, err == nil, c.d.explain("load the context of "+policy, err)
}

// Save keeps a context. Only the newest of several saves reaches the disk.
func (c Contexts) Save(policy, asset string, schema uint32, state []byte) {
	if state == nil {
		state = []byte{}
	}
	c.d.ctxMu.Lock()
	defer c.d.ctxMu.Unlock()
	c.d.contexts[contextKey{policy, asset, schema}] = &savedContext{bytes.Clone(state)}
}

// waitingContexts is what was saved and is not yet durable.
func (d *DB) waitingContexts() map[contextKey]*savedContext {
	d.ctxMu.Lock()
	defer d.ctxMu.Unlock()
	return maps.Clone(d.contexts)
}

// contextsWritten forgets saves that are durable, unless they were overtaken.
func (d *DB) contextsWritten(saved map[contextKey]*savedContext) {
	d.ctxMu.Lock()
	defer d.ctxMu.Unlock()
	maps.DeleteFunc(d.contexts, func(k contextKey, c *savedContext) bool { return saved[k] == c })
}

func (d *DB) writeContexts(ctx context.Context, tx *sql.Tx, saved map[contextKey]*savedContext) error {
	for k, c := range saved {
		if err := d.writeContext(ctx, tx, k, c.state); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) writeContext(ctx context.Context, tx *sql.Tx, k contextKey, state []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO contexts (policy, asset, schema, state, saved) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET state = excluded.state, saved = excluded.saved`,
		k.policy, k.asset, k.schema, state, d.now().UnixNano())
	return err
}

func (d *DB) dropContexts(policy string) {
	d.ctxMu.Lock()
	defer d.ctxMu.Unlock()
	for k := range d.contexts {
		if k.policy == policy {
			delete(d.contexts, k)
		}
	}
}
