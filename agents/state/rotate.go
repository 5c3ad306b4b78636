package state

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/edgehold/edgehold/plugins/store"
)

// anchorKey is the setting that holds the end of what was moved out of the
// database: the entry after it names its hash.
const anchorKey = "audit.anchor"

type anchor struct {
	Seq  int64
	Hash string
}

func (d *DB) prepareAudit(ctx context.Context) error {
	var n int64
	if err := d.read.QueryRowContext(ctx, `SELECT count(*) FROM audit`).Scan(&n); err != nil {
		return err
	}
	d.auditRows.Store(n)
	d.Tend(func() bool { return d.auditRows.Load() > int64(d.opts.AuditMax) }, d.rotateAudit)
	return nil
}

// rotateAudit moves the older half of the trail into a file that is named after
// its first entry, and removes the oldest such files. If the transaction then
// fails, the next rotation writes the same file again.
func (d *DB) rotateAudit(ctx context.Context, tx *sql.Tx) error {
	type line struct {
		seq        int64
		text, hash string
	}
	lines, err := collect(ctx, tx, `SELECT seq, entry, hash FROM audit ORDER BY seq LIMIT ?`, []any{d.opts.AuditMax / 2},
		func(r *sql.Rows) (l line, err error) { return l, r.Scan(&l.seq, &l.text, &l.hash) })
	if err != nil || len(lines) == 0 {
		return err
	}
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	name := fmt.Sprintf("%012d.jsonl", lines[0].seq)
	if err := store.ReplaceFile(d.path(auditDir, name), b.Bytes(), 0o600); err != nil {
		return err
	}
	end := lines[len(lines)-1]
	text, err := json.Marshal(anchor{end.seq, end.hash})
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`,
		anchorKey, string(text)); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM audit WHERE seq <= ?`, end.seq); err != nil {
		return err
	}
	d.auditRows.Add(-int64(len(lines)))
	return d.dropOldAudit()
}

func (d *DB) dropOldAudit() error {
	files, err := d.auditFiles()
	if err != nil {
		return err
	}
	for len(files) > d.opts.AuditFiles {
		if err := os.Remove(files[0]); err != nil {
			return err
		}
		files = files[1:]
	}
	return nil
}

func (d *DB) auditFiles() ([]string, error) {
	files, err := filepath.Glob(d.path(auditDir, "*.jsonl"))
	slices.Sort(files)
	return files, err
}

// verifyFiles checks the entries that were moved out, and that they lead to the
// anchor.
func (d *DB) verifyFiles(a anchor) (checked int, err error) {
	files, err := d.auditFiles()
	if err != nil {
		return 0, err
	}
	var before *chainEnd
	for _, path := range files {
		n, end, err := verifyFile(path, before)
		checked += n
		if err != nil {
			return checked, err
		}
		before = end
	}
	if before != nil && (before.seq != a.Seq || before.hash != a.Hash) {
		return checked, broken(a.Seq, "the files of older entries do not lead to the entries in the database")
	}
	return checked, nil
}

func verifyFile(path string, before *chainEnd) (checked int, end *chainEnd, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		var e Entry
		_ = json.Unmarshal([]byte(text), &e) // follows finds what is wrong with it
		hash := hashOf([]byte(text))
		if why := follows(before, e.Seq, text, hash); why != "" {
			return checked, nil, broken(e.Seq, why)
		}
		before = &chainEnd{e.Seq, hash}
		checked++
	}
	return checked, before, lines.Err()
}
