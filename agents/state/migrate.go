package state

import (
	"context"
	"database/sql"
	"fmt"
)

// schema is the package's own tables. A step, once released, is never changed:
// later ones amend it.
var schema = []string{`
CREATE TABLE policies (
	name       TEXT PRIMARY KEY,
	enabled    INTEGER NOT NULL DEFAULT 0,
	active     TEXT NOT NULL DEFAULT '',
	standby    TEXT NOT NULL DEFAULT '',
	parameters TEXT NOT NULL DEFAULT '{}',
	updated    INTEGER NOT NULL
) STRICT;
CREATE TABLE versions (
	policy   TEXT NOT NULL REFERENCES policies(name) ON DELETE CASCADE,
	digest   TEXT NOT NULL,
	version  TEXT NOT NULL,
	state    TEXT NOT NULL,
	reason   TEXT NOT NULL DEFAULT '',
	size     INTEGER NOT NULL,
	accepted INTEGER NOT NULL,
	by       TEXT NOT NULL,
	PRIMARY KEY (policy, digest)
) STRICT;
CREATE TABLE contexts (
	policy  TEXT NOT NULL,
	asset   TEXT NOT NULL,
	schema  INTEGER NOT NULL,
	state   BLOB NOT NULL,
	saved   INTEGER NOT NULL,
	PRIMARY KEY (policy, asset, schema)
) STRICT;
CREATE TABLE settings (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT;
CREATE TABLE audit (
	seq    INTEGER PRIMARY KEY,
	entry  TEXT NOT NULL,
	hash   TEXT NOT NULL
) STRICT;
`}

// Migrate brings the tables of a component up to date: it runs the steps that
// have not been run yet, all or none. A database that is ahead of the steps was
// written by a later release and is refused.
func (d *DB) Migrate(ctx context.Context, component string, steps []string) error {
	return d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		const table = `CREATE TABLE IF NOT EXISTS components (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT`
		if _, err := tx.ExecContext(ctx, table); err != nil {
			return err
		}
		var have int
		err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM components WHERE name = ?`, component).Scan(&have)
		if err != nil {
			return err
		}
		if have > len(steps) {
			return &Error{Code: "state.too-new", What: "open the tables of " + component,
				Why:  fmt.Sprintf("they are at version %d, this program knows %d", have, len(steps)),
				Hint: "run the release that wrote them, or a later one"}
		}
		for i, step := range steps[have:] {
			if _, err := tx.ExecContext(ctx, step); err != nil {
				return fmt.Errorf("migrate %s to version %d: %w", component, have+i+1, err)
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO components VALUES (?, ?)
			ON CONFLICT (name) DO UPDATE SET version = excluded.version`, component, len(steps))
		return err
	})
}
