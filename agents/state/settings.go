package state

import (
	"context"
	"database/sql"
	"errors"
)

// Setting returns a setting, or found false.
func (d *DB) Setting(ctx context.Context, key string) (value string, found bool, err error) {
	err = d.read.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, d.explain("read setting "+key, err)
}

// SetSetting changes a setting durably.
func (d *DB) SetSetting(ctx context.Context, key, value string) error {
	err := d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings VALUES (?, ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, key, value)
		return err
	})
	return d.explain("change setting "+key, err)
}
