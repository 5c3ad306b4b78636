package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Entry is one line of the audit trail. Each carries the hash of the one before
// it, so that nothing can be changed or taken out of the middle unseen.
type Entry struct {
	Seq     int64
	Time    time.Time
	Actor   string // who
	Action  string // did what, as "policy.upload"
	Subject string // to what
	Outcome string // "done", "refused", "failed"
	Code    string `json:",omitempty"` // stable, of a refusal
	Detail  string
	Before  string // hash of the entry before, in hex
	Hash    string `json:"-"` // of this entry's JSON, in hex
}

const maxDetailBytes = 4096

// Audit appends an entry durably; Seq, Time, Before and Hash are filled in.
func (d *DB) Audit(ctx context.Context, e Entry) error {
	if len(e.Detail) > maxDetailBytes {
		e.Detail = e.Detail[:maxDetailBytes] + "..."
	}
	e.Time = d.now().UTC()
	err := d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		last, err := lastEntry(ctx, tx)
		if err != nil {
			return err
		}
		e.Seq, e.Before = last.seq+1, last.hash
		return appendEntry(ctx, tx, e)
	})
	if err == nil {
		d.auditRows.Add(1)
	}
	return d.explain("write the audit trail", err)
}

type chainEnd struct {
	seq  int64
	hash string
}

func lastEntry(ctx context.Context, tx *sql.Tx) (end chainEnd, err error) {
	err = tx.QueryRowContext(ctx, `SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1`).Scan(&end.seq, &end.hash)
	if errors.Is(err, sql.ErrNoRows) {
		return end, nil
	}
	return end, err
}

func appendEntry(ctx context.Context, tx *sql.Tx, e Entry) error {
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO audit (seq, entry, hash) VALUES (?, ?, ?)`, e.Seq, string(text), hashOf(text))
	return err
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// AuditTrail returns entries with Seq below before (0: from the newest), newest
// first.
func (d *DB) AuditTrail(ctx context.Context, before int64, limit int) ([]Entry, error) {
	es, err := collect(ctx, d.read, `SELECT entry, hash FROM audit WHERE ?1 = 0 OR seq < ?1 ORDER BY seq DESC LIMIT ?2`,
		[]any{before, limit}, scanEntry)
	return es, d.explain("read the audit trail", err)
}

func scanEntry(r *sql.Rows) (e Entry, err error) {
	var text string
	if err := r.Scan(&text, &e.Hash); err != nil {
		return e, err
	}
	return e, json.Unmarshal([]byte(text), &e)
}

// VerifyAudit checks the whole chain but its newest end, which nothing follows: the files that older entries were moved to,
// as far as they are kept, and the database. It returns how many entries it
// checked.
func (d *DB) VerifyAudit(ctx context.Context) (checked int, err error) {
	var a anchor
	text, moved, err := d.Setting(ctx, anchorKey)
	if err != nil {
		return 0, err
	}
	before := &chainEnd{} // of the first entry there ever was
	if moved {
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			return 0, broken(0, "the place where older entries end can't be read")
		}
		before = &chainEnd{a.Seq, a.Hash}
	}
	old, err := d.verifyFiles(a)
	if err != nil {
		return old, d.explain("verify the audit trail", err)
	}
	checked, err = d.verifyRows(ctx, before)
	return old + checked, d.explain("verify the audit trail", err)
}

func (d *DB) verifyRows(ctx context.Context, before *chainEnd) (checked int, err error) {
	r, err := d.read.QueryContext(ctx, `SELECT seq, entry, hash FROM audit ORDER BY seq`)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Next() {
		var seq int64
		var text, hash string
		if err := r.Scan(&seq, &text, &hash); err != nil {
			return checked, err
		}
		if why := follows(before, seq, text, hash); why != "" {
			return checked, broken(seq, why)
		}
		before = &chainEnd{seq, hash}
		checked++
	}
	return checked, r.Err()
}

func broken(seq int64, why string) error {
	return &Error{Code: "audit.broken", What: fmt.Sprintf("verify entry %d of the audit trail", seq), Why: why,
		Hint: "compare with a backup: somebody or something has changed the trail"}
}

// follows says why an entry can't be the one after before, if so. A nil before
// is unknown: the files of older entries are not kept for ever.
func follows(before *chainEnd, seq int64, text, hash string) string {
	var e Entry
	switch {
	case hashOf([]byte(text)) != hash:
		return "its content does not have its hash"
	case json.Unmarshal([]byte(text), &e) != nil || e.Seq != seq:
		return "its content is of another entry"
	case before != nil && (e.Before != before.hash || seq != before.seq+1):
		return "it does not follow the one before"
	}
	return ""
}
