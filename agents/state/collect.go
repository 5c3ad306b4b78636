package state

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Collect removes versions beyond the newest keep of each policy that are
// neither active nor standby, and then modules that no version names. It returns
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

func (d *DB) forgetVersions(ctx context.Context, policy string, keep int) error {
	vs, err := d.Versions(ctx, policy)
	if err != nil || len(vs) <= keep {
		return err
	}
	return d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM versions WHERE policy = ?1
			AND digest NOT IN (SELECT active FROM policies UNION SELECT standby FROM policies)
			AND digest NOT IN (SELECT digest FROM versions WHERE policy = ?1 ORDER BY accepted DESC, rowid DESC LIMIT ?2)`,
			policy, keep)
		return err
	})
}

// removeOrphans looks and removes while nobody else can accept: inside a
// transaction. A module is written before its row, so Accept writes it again if
// it went meanwhile.
func (d *DB) removeOrphans(ctx context.Context) (removed []string, err error) {
	err = d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		named, err := collect(ctx, tx, `SELECT DISTINCT digest FROM versions`, nil, func(r *sql.Rows) (s string, err error) {
			return s, r.Scan(&s)
		})
		if err != nil {
			return err
		}
		paths, err := filepath.Glob(d.path(modulesDir, "sha256-*.wasm"))
		if err != nil {
			return err
		}
		for _, path := range paths {
			h := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "sha256-"), ".wasm")
			if slices.Contains(named, digestPrefix+h) {
				continue
			}
			if err := os.Remove(path); err != nil {
				return err
			}
			removed = append(removed, digestPrefix+h)
		}
		return nil
	})
	return removed, err
}
