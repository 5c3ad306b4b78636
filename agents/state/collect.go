package state

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
)

// Collect removes versions beyond the newest keep of each policy that are
// neither active nor standby nor needed by its rollout, and then modules that no version names. It returns
// the digests of the removed modules.
func (d *DB) Collect(ctx context.Context, keep int) (removed []string, err error) {
	ps, err := d.Policies(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		if err := d.forgetVersions(ctx, p.Name, keep); err != nil {
			return nil, d.explain("collect old versions of "+p.Name, err)
		}
	}
	removed, err = d.removeOrphans(ctx)
	return removed, d.explain("collect unused modules", err)
}

// MakeRoom collects as [DB.Collect] does, keeping fewer and fewer versions, but one at least, until modules may take so many
// bytes more. Where there is room it does nothing.
func (d *DB) MakeRoom(ctx context.Context, bytes int64, keep int) error {
	for ; keep > 0 && !d.modules.HasRoom(bytes); keep-- {
		if _, err := d.Collect(ctx, keep); err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) forgetVersions(ctx context.Context, policy string, keep int) error {
	vs, err := d.Versions(ctx, policy)
	if err != nil || len(vs) <= keep {
		return err
	}
	return d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM versions WHERE policy = ?1
			AND digest NOT IN (SELECT active FROM policies UNION SELECT standby FROM policies
				UNION SELECT value FROM rollouts, json_each(rollouts.keeps))
			AND digest NOT IN (SELECT digest FROM versions WHERE policy = ?1 ORDER BY accepted DESC, rowid DESC LIMIT ?2)`,
			policy, keep)
		return err
	})
}

// removeOrphans looks and removes while nobody else can accept or activate:
// inside a transaction. A module is written before its row, so Accept pins it
// from before the one until after the other.
func (d *DB) removeOrphans(ctx context.Context) (removed []string, err error) {
	err = d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		removed, err = d.modules.Collect(ctx, func(ctx context.Context) ([]string, error) { return d.named(ctx, tx) })
		return err
	})
	return removed, err
}

// named is every module that may be started again: of the versions in the
// database, and of those in the records, which know more after damage that
// nobody noticed.
func (d *DB) named(ctx context.Context, tx *sql.Tx) ([]string, error) {
	all, err := collect(ctx, tx, `SELECT DISTINCT digest FROM versions`, nil, func(r *sql.Rows) (s string, err error) {
		return s, r.Scan(&s)
	})
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob(d.path(modulesDir, "*"+recordSuffix))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if r, err := decodeRecord(b); err == nil { // one that is damaged knows nothing more
			for _, v := range r.Versions {
				all = append(all, v.Digest)
			}
		}
	}
	return all, err
}
