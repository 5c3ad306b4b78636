package state

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveAndParameters(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	defer d.Close()
	ctx := t.Context()
	accept(t, d, "p", "1")
	must(t, d.SetParameters(ctx, "p", map[string]float64{"high": 3.5}))
	must(t, d.SetEnabled(ctx, "p", false))
	d.Contexts().Save("p", "node", 1, []byte("c"))
	if p, err := d.Policy(ctx, "p"); err != nil || p.Parameters["high"] != 3.5 || p.Enabled {
		t.Errorf("%+v, %v", p, err)
	}
	must(t, d.Remove(ctx, "p"))
	if _, err := d.Policy(ctx, "p"); !errors.Is(err, ErrNotFound) || code(err) != "policy.not-found" {
		t.Errorf("removed policy: %v", err)
	}
	if _, found, err := d.Contexts().Load(ctx, "p", "node", 1); found || err != nil {
		t.Errorf("its context: %v, %v", found, err)
	}
	if _, err := os.Stat(d.recordPath("p")); !os.IsNotExist(err) {
		t.Errorf("its record: %v", err)
	}
	removed, err := d.Collect(ctx, 1)
	if err != nil || len(removed) != 1 {
		t.Errorf("collected %v, %v", removed, err)
	}
	if ps, err := d.Policies(ctx); err != nil || len(ps) != 0 {
		t.Errorf("%v, %v", ps, err)
	}
}

func TestBackup(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	must(t, d.SetSetting(t.Context(), "mode", "ml"))
	path := filepath.Join(t.TempDir(), "copy.db")
	must(t, d.Backup(t.Context(), path))
	db, err := sql.Open("sqlite", path)
	must(t, err)
	defer db.Close()
	var v string
	must(t, db.QueryRow(`SELECT value FROM settings WHERE key = 'mode'`).Scan(&v))
	if v != "ml" {
		t.Errorf("mode %q", v)
	}
	if err := d.Backup(t.Context(), path); err == nil {
		t.Error("a backup was overwritten")
	}
}

// Damage that a query meets makes the next start look, although the stop was
// clean.
func TestDamageThatIsMetIsRemembered(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	if err := d.explain("read", errDamaged); code(err) != "state.corrupt" || !d.Damaged() {
		t.Errorf("got %v", err)
	}
	must(t, d.Close())
	d = open(t, dir, Options{})
	defer d.Close()
	if r := d.Report(); !r.Unclean || r.SetAside != "" {
		t.Errorf("report %+v", r)
	}
}

func TestCheckpointEmptiesTheLog(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	defer d.Close()
	ctx := t.Context()
	for range 3 { // the log is used again from its beginning after a checkpoint
		must(t, d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO settings VALUES ('big', ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
				string(make([]byte, 3<<20)))
			return err
		}))
		must(t, d.checkpoint(ctx))
	}
	st, err := os.Stat(filepath.Join(dir, dbName+"-wal"))
	must(t, err)
	if st.Size() > 8<<20 {
		t.Errorf("log of %d bytes", st.Size())
	}
}
