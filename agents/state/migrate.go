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
`, `
ALTER TABLE policies ADD COLUMN allow TEXT NOT NULL DEFAULT 'null';
UPDATE policies SET allow = (SELECT iif(value = '', '[]', '["' || replace(value, ',', '","') || '"]') FROM settings WHERE key = 'allow/' || name)
	WHERE EXISTS (SELECT 1 FROM settings WHERE key = 'allow/' || name);
DELETE FROM settings WHERE key LIKE 'allow/%';
CREATE TABLE rollouts (
	policy TEXT PRIMARY KEY,
	state  TEXT NOT NULL,
	keeps  TEXT NOT NULL
) STRICT;
CREATE TABLE dropped (
	digest TEXT PRIMARY KEY,
	at     INTEGER NOT NULL
) STRICT;
`}

// Migrate brings the tables of a component up to date: it runs the steps that
// have not been run yet, all or none. A database that is ahead of the steps was
// written by a later release and is refused. If a damaged database was set aside,
// what can still be read of the component's tables is copied from it.
func (d *DB) Migrate(ctx context.Context, component string, steps []string) error {
	have, err := d.version(ctx, d.write, component)
	if err != nil {
		return err
	}
	if have > len(steps) {
		return &Error{Code: "state.too-new", What: "open the tables of " + component,
			Why:  fmt.Sprintf("they are at version %d, this program knows %d", have, len(steps)),
			Hint: "run the release that wrote them, or a later one"}
	}
	if have == len(steps) { // so that a full disk can be opened
		return nil
	}
	err = d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return migrate(ctx, tx, component, steps, have)
	})
	if err != nil {
		return err
	}
	return d.salvage.copy(ctx, d, component, len(steps))
}

func migrate(ctx context.Context, tx *sql.Tx, component string, steps []string, have int) error {
	for i, step := range steps[have:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("migrate %s to version %d: %w", component, have+i+1, err)
		}
	}
	const table = `CREATE TABLE IF NOT EXISTS components (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT`
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO components VALUES (?, ?)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version`, component, len(steps))
	return err
}

// version returns how many steps of a component a database has seen.
func (d *DB) version(ctx context.Context, q *sql.DB, component string) (have int, err error) {
	var tables int
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'components'`).Scan(&tables)
	if err != nil || tables == 0 {
		return 0, err
	}
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM components WHERE name = ?`, component).Scan(&have)
	return have, err
}
