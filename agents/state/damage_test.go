package state

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// scratch is a folder in memory, where there is one: these tests open many
// databases and ask nothing of the disk.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "edgehold-state-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// furnished is a folder with three policies of two versions each, settings, and
// enough rows to fill pages.
func furnished(t *testing.T) (dir string, digests []string) {
	t.Helper()
	dir = scratch(t)
	d := open(t, dir, Options{})
	for _, p := range []string{"a", "b", "c"} {
		for _, v := range []string{"1", "2"} {
			v := accept(t, d, p, v)
			must(t, d.Activate(t.Context(), p, v.Digest))
			digests = append(digests, v.Digest)
		}
	}
	must(t, d.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		for n := range 2_000 {
			if _, err := tx.ExecContext(ctx, `INSERT INTO settings VALUES (?, ?)`, fmt.Sprintf("key%04d", n), strings.Repeat("x", 100)); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, d.Close())
	return dir, digests
}

// damagedCopy is the folder with another database, not closed cleanly.
func damagedCopy(t *testing.T, dir string, db []byte) string {
	t.Helper()
	fresh := scratch(t)
	must(t, os.Mkdir(filepath.Join(fresh, modulesDir), 0o700))
	files, err := filepath.Glob(filepath.Join(dir, modulesDir, "*"))
	must(t, err)
	for _, path := range files { // they are replaced, never written to
		must(t, os.Link(path, filepath.Join(fresh, modulesDir, filepath.Base(path))))
	}
	must(t, os.WriteFile(filepath.Join(fresh, dbName), db, 0o600))
	must(t, os.WriteFile(filepath.Join(fresh, lockName), markOpen, 0o600))
	return fresh
}

func checkPolicies(t *testing.T, d *DB, digests []string) {
	t.Helper()
	for i, p := range []string{"a", "b", "c"} {
		got, err := d.Policy(t.Context(), p)
		if err != nil {
			t.Errorf("policy %s is lost: %v", p, err)
			continue
		}
		if got.Active != digests[2*i+1] || got.Standby != digests[2*i] || !got.Enabled {
			t.Errorf("policy %s came back as %+v", p, got)
		}
	}
}

func TestDamage(t *testing.T) {
	whole, digests := furnished(t)
	b, err := os.ReadFile(filepath.Join(whole, dbName))
	must(t, err)
	for _, tt := range []struct {
		name   string
		damage func(file []byte) []byte
		rows   int // of the settings, at least, that must come back
	}{
		{"empty file", func([]byte) []byte { return nil }, 0},
		{"one byte", func([]byte) []byte { return []byte{1} }, 0},
		{"not a database", func([]byte) []byte { return []byte(strings.Repeat("lorem ipsum ", 1000)) }, 0},
		{"header overwritten", func(b []byte) []byte { copy(b, make([]byte, 100)); return b }, 0},
		{"cut in half", func(b []byte) []byte { return b[:len(b)/2] }, 100},
		{"cut within a page", func(b []byte) []byte { return b[:len(b)-1000] }, 1000},
		{"a page of zeros in the middle", func(b []byte) []byte { clear(b[len(b)/2&^4095:][:4096]); return b }, 1000},
		{"a page of noise in the middle", func(b []byte) []byte { noise(b[len(b)/2&^4095:][:4096]); return b }, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := damagedCopy(t, whole, tt.damage(slices.Clone(b)))
			d := open(t, dir, Options{})
			defer d.Close()
			checkPolicies(t, d, digests)
			r := d.Report()
			if r.SetAside != "" {
				if _, err := os.Stat(filepath.Join(dir, r.SetAside)); err != nil {
					t.Error("the damaged file was not kept")
				}
			} else if !r.Fresh { // SQLite takes an empty file for a new one
				t.Errorf("damage was not noticed: %+v", r)
			}
			var rows int
			must(t, d.read.QueryRow(`SELECT count(*) FROM settings`).Scan(&rows))
			if rows < tt.rows {
				t.Errorf("%d settings were salvaged, %+v", rows, r)
			}
			_, err = d.VerifyAudit(t.Context())
			must(t, err)
		})
	}
}

func noise(b []byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// Whatever bytes change, Open must give a usable state with every policy.
func TestFlippedBytes(t *testing.T) {
	dir, digests := furnished(t)
	path := filepath.Join(dir, dbName)
	whole, err := os.ReadFile(path)
	must(t, err)
	r := rand.New(rand.NewPCG(3, 4))
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		b := slices.Clone(whole)
		for range 1 + r.IntN(20) {
			b[r.IntN(len(b))] ^= byte(1 + r.IntN(255))
		}
		d := open(t, damagedCopy(t, dir, b), Options{})
		checkPolicies(t, d, digests)
		must(t, d.SetSetting(t.Context(), "still", "writable"))
		must(t, d.Close())
	}
}

// A damaged write-ahead log loses the newest transactions and leaves a database that is sound and old. The records beside
// the modules know better.
func TestLostTransactionsAreCaughtUp(t *testing.T) {
	dir := scratch(t)
	d := open(t, dir, Options{})
	first, second := accept(t, d, "p", "1"), accept(t, d, "p", "2")
	must(t, d.Activate(t.Context(), "p", first.Digest))
	old, err := d.Policy(t.Context(), "p")
	must(t, err)
	must(t, d.Activate(t.Context(), "p", second.Digest))
	must(t, d.SetEnabled(t.Context(), "p", false))
	_, err = d.write.Exec(`UPDATE policies SET active = ?, standby = '', enabled = 1, updated = ?`, first.Digest, old.Updated.UnixNano())
	must(t, err)
	_, err = d.write.Exec(`UPDATE versions SET state = iif(digest = ?, 'active', 'prepared')`, first.Digest)
	must(t, err)
	must(t, d.Close())
	must(t, os.WriteFile(filepath.Join(dir, lockName), []byte("unclean"), 0o600))

	d = open(t, dir, Options{})
	defer d.Close()
	p, err := d.Policy(t.Context(), "p")
	must(t, err)
	if p.Active != second.Digest || p.Standby != first.Digest || p.Enabled {
		t.Errorf("got %+v, want version 2 active, 1 standby, and the policy disabled", p)
	}
	if diff := cmp.Diff(states(t, d, "p"), map[string]VersionState{"1": Standby, "2": Active}); diff != "" {
		t.Error(diff)
	}
}

func TestDeletedDatabase(t *testing.T) {
	dir, digests := furnished(t)
	must(t, os.Remove(filepath.Join(dir, dbName)))
	d := open(t, dir, Options{})
	defer d.Close()
	checkPolicies(t, d, digests)
	if r := d.Report(); !r.Fresh || len(r.Recovered) != 3 {
		t.Errorf("report %+v", r)
	}
}

func TestDamagedDatabasesDoNotFillTheDisk(t *testing.T) {
	dir := scratch(t)
	now := time.Now()
	leftover := filepath.Join(dir, modulesDir, ".new-123")
	for n := range 5 {
		must(t, os.MkdirAll(filepath.Dir(leftover), 0o700))
		must(t, os.WriteFile(leftover, nil, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, dbName), []byte(strings.Repeat("damaged ", 1000)), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, lockName), markOpen, 0o600))
		d := open(t, dir, Options{Now: func() time.Time { return now.Add(time.Duration(n) * time.Hour) }})
		must(t, d.Close())
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*.corrupt-*Z"))
	if err != nil || len(kept) != maxAsides {
		t.Errorf("kept %v, %v", kept, err)
	}
	if _, err := os.Stat(leftover); !os.IsNotExist(err) {
		t.Errorf("half-written file: %v", err)
	}
}
