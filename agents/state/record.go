package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/edgehold/edgehold/plugins/store"
)

// record is a policy's rows as a file beside its modules. The database is the
// truth; records are read only when it is lost.
type record struct {
	Policy   Policy
	Versions []Version
}

const (
	recordSuffix   = ".policy.json"
	maxRecordBytes = 1 << 20
	maxNameBytes   = 128
)

// checkName refuses names that can't be names of files everywhere.
func checkName(name string) error {
	bad := name == "" || len(name) > maxNameBytes || strings.HasPrefix(name, ".")
	for _, r := range name {
		ok := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r)
		bad = bad || !ok
	}
	if bad {
		return &Error{Code: "policy.bad-name", What: fmt.Sprintf("use %q as a policy's name", name),
			Why: "it is empty, too long, or has other characters than letters, digits, '-', '_' and '.'", Hint: "rename the policy"}
	}
	return nil
}

func (d *DB) recordPath(policy string) string { return d.path(modulesDir, policy+recordSuffix) }

// changePolicy runs op and writes the policy's record before the transaction
// commits: a crash in between leaves a record that is ahead of a database which
// nobody was told about, never behind it.
func (d *DB) changePolicy(ctx context.Context, policy string, op Op) error {
	if err := checkName(policy); err != nil {
		return err
	}
	err := d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := op(ctx, tx); err != nil {
			return err
		}
		return d.writeRecord(ctx, tx, policy)
	})
	if err != nil { // the record may be ahead
		_ = d.writeRecord(context.WithoutCancel(ctx), d.read, policy)
	}
	return err
}

func (d *DB) writeRecord(ctx context.Context, q rows, policy string) error {
	d.records.Lock()
	defer d.records.Unlock()
	p, err := policyIn(ctx, q, policy)
	if errors.Is(err, ErrNotFound) {
		return d.deleteRecord(policy)
	}
	if err != nil {
		return err
	}
	vs, err := versionsIn(ctx, q, policy)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(record{p, vs}, "", "\t")
	if err != nil {
		return err
	}
	return store.ReplaceFile(d.recordPath(policy), append(b, '\n'), 0o600)
}

func (d *DB) deleteRecord(policy string) error {
	if err := os.Remove(d.recordPath(policy)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return store.SyncDir(d.path(modulesDir))
}

// decodeRecord reads a record as distrustfully as anything that lay on a disk.
func decodeRecord(b []byte) (r record, err error) {
	if len(b) > maxRecordBytes {
		return r, fmt.Errorf("record of %d bytes", len(b))
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, err
	}
	if err := checkName(r.Policy.Name); err != nil {
		return r, err
	}
	var said struct{ Policy map[string]json.RawMessage }
	if err := json.Unmarshal(b, &said); err != nil {
		return r, err
	}
	if _, ok := said.Policy["Allow"]; !ok { // written before it was kept here: nobody knows, so nothing is
		r.Policy.Allow = []string{}
	}
	known := map[string]bool{"": true}
	for _, v := range r.Versions {
		known[v.Digest] = true
		if v.Policy != r.Policy.Name {
			return r, fmt.Errorf("version of another policy, %q", v.Policy)
		}
	}
	if !known[r.Policy.Active] || !known[r.Policy.Standby] {
		return r, errors.New("active or standby version is not among the versions")
	}
	return r, nil
}

// recoverPolicies fills in from the records what the tables lack, or know only
// in an older form: a damaged write-ahead log loses the newest transactions
// without a trace. A version whose module is missing or damaged is left out,
// with a warning.
func (d *DB) recoverPolicies(ctx context.Context) error {
	paths, err := filepath.Glob(d.path(modulesDir, "*"+recordSuffix))
	if err != nil {
		return err
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err == nil {
			var r record
			if r, err = decodeRecord(b); err == nil {
				err = d.restore(ctx, r)
			}
		}
		if err != nil {
			d.report.Warnings = append(d.report.Warnings, fmt.Sprintf("policy record %s: %v", filepath.Base(path), err))
		}
	}
	return nil
}

func (d *DB) restore(ctx context.Context, r record) error {
	name := r.Policy.Name
	parameters, err := json.Marshal(r.Policy.Parameters)
	if err != nil {
		return err
	}
	allow, err := json.Marshal(r.Policy.Allow)
	if err != nil {
		return err
	}
	var ahead, changed bool
	err = d.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		x, err := tx.ExecContext(ctx, `INSERT INTO policies (name, enabled, parameters, allow, updated) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, name, r.Policy.Enabled, string(parameters), string(allow), r.Policy.Updated.UnixNano())
		if err != nil {
			return err
		}
		n, err := x.RowsAffected()
		if err != nil {
			return err
		}
		if n == 0 {
			if n, err = catchUp(ctx, tx, r.Policy, string(parameters), string(allow)); err != nil {
				return err
			}
		}
		ahead = n > 0
		changed = ahead
		for _, v := range r.Versions {
			back, err := d.restoreVersion(ctx, tx, v, ahead)
			if err != nil {
				return err
			}
			changed = changed || back
		}
		return restorePointers(ctx, tx, r.Policy, ahead)
	})
	if err == nil && changed {
		d.report.Recovered = append(d.report.Recovered, name)
	}
	return err
}

// catchUp takes over a record that is newer than the policy's row. It may tell
// of a change that nobody was told about; none that anybody was told about is
// missing from it.
func catchUp(ctx context.Context, tx *sql.Tx, p Policy, parameters, allow string) (rows int64, err error) {
	x, err := tx.ExecContext(ctx, `UPDATE policies SET enabled = ?2, parameters = ?3, allow = ?5, updated = ?4 WHERE name = ?1 AND updated < ?4`,
		p.Name, p.Enabled, parameters, p.Updated.UnixNano(), allow)
	if err != nil {
		return 0, err
	}
	return x.RowsAffected()
}

// restorePointers points a policy that was behind its record, or whose pointers
// lead to no version, where the record says.
func restorePointers(ctx context.Context, tx *sql.Tx, p Policy, ahead bool) error {
	for column, digest := range map[string]string{"active": p.Active, "standby": p.Standby} {
		_, err := tx.ExecContext(ctx, `UPDATE policies SET `+column+` = coalesce(
			(SELECT digest FROM versions WHERE policy = ?1 AND digest = ?2), '') WHERE name = ?1 AND (?3 OR `+column+` <> ''
			AND `+column+` NOT IN (SELECT digest FROM versions WHERE policy = ?1))`, p.Name, digest, ahead)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *DB) restoreVersion(ctx context.Context, tx *sql.Tx, v Version, ahead bool) (back bool, err error) {
	if _, err := d.Module(v.Digest); err != nil {
		d.report.Warnings = append(d.report.Warnings, fmt.Sprintf("version %s of policy %s: %v", v.Version, v.Policy, err))
		return false, nil
	}
	r, err := tx.ExecContext(ctx, `INSERT INTO versions (policy, digest, version, state, reason, size, accepted, by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (policy, digest) DO UPDATE SET state = excluded.state, reason = excluded.reason WHERE ?`,
		v.Policy, v.Digest, v.Version, v.State, v.Reason, v.Size, v.Accepted.UnixNano(), v.By, ahead)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}
