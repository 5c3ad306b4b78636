package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Rollout returns the state of a policy's rollouts as it was kept, or nil.
func (d *DB) Rollout(ctx context.Context, policy string) (kept []byte, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT state FROM rollouts WHERE policy = ?`, policy).Scan(&kept)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return kept, d.explain("read the rollout of "+policy, err)
}

// SetRollout keeps the state of a policy's rollouts, durably, and the digests that it can't do without: Collect leaves them.
func (d *DB) SetRollout(ctx context.Context, policy string, kept []byte, digests []string) error {
	op, err := setRollout(policy, kept, digests)
	if err == nil {
		err = d.Update(ctx, op)
	}
	return d.explain("keep the rollout of "+policy, err)
}

// SetRolloutLater is SetRollout for what a crash may lose.
func (d *DB) SetRolloutLater(policy string, kept []byte, digests []string) error {
	op, err := setRollout(policy, kept, digests)
	if err == nil {
		d.Later(op)
	}
	return err
}

func setRollout(policy string, kept []byte, digests []string) (Op, error) {
	keeps, err := json.Marshal(append([]string{}, digests...))
	if err != nil {
		return nil, fmt.Errorf("keep the rollout of %s: %w", policy, err)
	}
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO rollouts (policy, state, keeps) SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM policies WHERE name = ?1)
			ON CONFLICT DO UPDATE SET state = excluded.state, keeps = excluded.keeps`, policy, string(kept), string(keeps))
		return err
	}, nil
}

// maxDropped bounds how many modules are remembered as not wanted.
const maxDropped = 1000

// drop remembers the modules of a policy that a person deletes.
func (d *DB) drop(ctx context.Context, tx *sql.Tx, policy string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO dropped SELECT digest, ?2 FROM versions WHERE policy = ?1
		ON CONFLICT DO UPDATE SET at = excluded.at`, policy, d.now().UnixNano())
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM dropped WHERE digest NOT IN (SELECT digest FROM dropped ORDER BY at DESC LIMIT ?)`, maxDropped)
	return err
}

// Dropped reports whether a module belonged to a policy that was deleted, and was not accepted again since.
func (d *DB) Dropped(ctx context.Context, digest string) (dropped bool, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT count(*) FROM dropped WHERE digest = ?`, digest).Scan(&dropped)
	return dropped, d.explain("look for deleted module "+digest, err)
}
