package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// Policy is what is known of a policy besides its versions.
type Policy struct {
	Name       string
	Enabled    bool
	Active     string // digest, or empty
	Standby    string // digest of what a rollback goes back to, or empty
	Parameters map[string]float64
	Allow      []string // mechanisms that the operator allows; nil is all, empty is none
	Updated    time.Time
}

// VersionState is where a version is in its life.
type VersionState string

// The states of a version.
const (
	Prepared    VersionState = "prepared"    // accepted, never active
	Active      VersionState = "active"      // the one that runs
	Standby     VersionState = "standby"     // the one before it
	Retired     VersionState = "retired"     // older
	Quarantined VersionState = "quarantined" // misbehaved; runs only when activated by name
)

// Version is an accepted version of a policy.
type Version struct {
	Policy   string
	Digest   string
	Version  string
	State    VersionState
	Reason   string // of a quarantine
	Size     int64
	Accepted time.Time
	By       string
}

// Accept stores a module as a new version of a policy, prepared and not active;
// the policy is made, enabled, if it is new. When Accept has returned, nothing but
// Remove and Collect takes the version away. Accepting a version again changes
// nothing but its name.
func (d *DB) Accept(ctx context.Context, v Version, module []byte) (Version, error) {
	what := fmt.Sprintf("store version %s of policy %s", v.Version, v.Policy)
	if err := checkName(v.Policy); err != nil {
		return v, err
	}
	defer d.modules.Pin(store.Digest(module))() // until the row names it
	digest, err := d.writeBlob(ctx, module)
	if err != nil {
		return v, d.explain(what, err)
	}
	v.Digest, v.Size, v.State, v.Accepted = digest, int64(len(module)), Prepared, d.now()
	err = d.changePolicy(ctx, v.Policy, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO policies (name, enabled, updated) VALUES (?, 1, ?)
			ON CONFLICT DO NOTHING`, v.Policy, v.Accepted.UnixNano())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO versions (policy, digest, version, state, size, accepted, by)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (policy, digest) DO UPDATE SET version = excluded.version`,
			v.Policy, v.Digest, v.Version, v.State, v.Size, v.Accepted.UnixNano(), v.By)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM dropped WHERE digest = ?`, v.Digest)
		return err
	})
	return v, d.explain(what, err)
}

// Activate makes a version the active one, atomically: the one before it becomes
// the standby, unless it is quarantined, and the standby before that retires. It
// ends a quarantine of that version. Where nothing changes nothing is written, so
// that a full disk keeps no policy from going on.
func (d *DB) Activate(ctx context.Context, policy, digest string) error {
	if d.isActive(ctx, policy, digest) {
		return nil
	}
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		p, err := policyIn(ctx, tx, policy)
		if err != nil {
			return err
		}
		if _, err := versionIn(ctx, tx, policy, digest); err != nil {
			return err
		}
		if p.Active == digest {
			return setPointers(ctx, tx, policy, digest, p.Standby)
		}
		standby := p.Active
		if before, err := versionIn(ctx, tx, policy, p.Active); err == nil && before.State == Quarantined {
			standby = p.Standby
		}
		if standby == digest {
			standby = ""
		}
		return setPointers(ctx, tx, policy, digest, standby)
	})
	return d.explain(fmt.Sprintf("activate %s of policy %s", digest, policy), err)
}

func (d *DB) isActive(ctx context.Context, policy, digest string) bool {
	v, err := versionIn(ctx, d.read, policy, digest)
	return err == nil && v.State == Active
}

// Rollback makes the standby active and the active version the standby.
func (d *DB) Rollback(ctx context.Context, policy string) (Policy, error) {
	what := "roll back policy " + policy
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		p, err := policyIn(ctx, tx, policy)
		if err != nil {
			return err
		}
		if p.Standby == "" {
			return &Error{Code: "policy.no-standby", What: what, Why: "there is no earlier version to go back to",
				Hint: "activate one of its versions by name"}
		}
		return setPointers(ctx, tx, policy, p.Standby, p.Active)
	})
	if err != nil {
		return Policy{}, d.explain(what, err)
	}
	return d.Policy(ctx, policy)
}

// Quarantine marks a version as misbehaving. If it is the standby, there is no
// standby any more; if it is the active one, it stays active until another is
// activated or rolled back to, and does not become the standby then.
func (d *DB) Quarantine(ctx context.Context, policy, digest, reason string) error {
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := versionIn(ctx, tx, policy, digest); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE versions SET state = ?, reason = ? WHERE policy = ? AND digest = ?`,
			Quarantined, reason, policy, digest)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE policies SET updated = ?3, standby = iif(standby = ?2, '', standby) WHERE name = ?1`,
			policy, digest, time.Now().UnixNano())
		return err
	})
	return d.explain(fmt.Sprintf("quarantine %s of policy %s", digest, policy), err)
}

// Pardon ends the quarantine of a version, which stays retired. It does nothing for one that is not quarantined.
func (d *DB) Pardon(ctx context.Context, policy, digest string) error {
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE versions SET state = ?, reason = '' WHERE policy = ? AND digest = ? AND state = ?`,
			Retired, policy, digest, Quarantined)
		return err
	})
	return d.explain(fmt.Sprintf("pardon %s of policy %s", digest, policy), err)
}

// SetEnabled enables or disables a policy.
func (d *DB) SetEnabled(ctx context.Context, policy string, enabled bool) error {
	return d.setPolicy(ctx, policy, "enabled", enabled)
}

// SetParameters replaces what the operator set.
func (d *DB) SetParameters(ctx context.Context, policy string, parameters map[string]float64) error {
	text, err := json.Marshal(parameters)
	if err != nil {
		return fmt.Errorf("set the parameters of %s: %w", policy, err)
	}
	return d.setPolicy(ctx, policy, "parameters", string(text))
}

// SetAllow replaces the mechanisms that the operator allows; nil is all of them, an empty list none.
func (d *DB) SetAllow(ctx context.Context, policy string, mechanisms []string) error {
	text, err := json.Marshal(mechanisms)
	if err != nil {
		return fmt.Errorf("set what %s is allowed: %w", policy, err)
	}
	return d.setPolicy(ctx, policy, "allow", string(text))
}

func (d *DB) setPolicy(ctx context.Context, policy, column string, value any) error {
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE policies SET `+column+` = ?, updated = ? WHERE name = ?`,
			value, d.now().UnixNano(), policy)
		return needRow(r, err, policy)
	})
	return d.explain("change policy "+policy, err)
}

// Point names the active version and its standby, which may be empty, atomically. Unlike Activate it takes them as given:
// a rollout knows which version is worth going back to.
func (d *DB) Point(ctx context.Context, policy, active, standby string) error {
	if p, err := policyIn(ctx, d.read, policy); err == nil && p.Active == active && p.Standby == standby && d.isActive(ctx, policy, active) {
		return nil
	}
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := policyIn(ctx, tx, policy); err != nil {
			return err
		}
		if _, err := versionIn(ctx, tx, policy, active); err != nil {
			return err
		}
		return setPointers(ctx, tx, policy, active, standby)
	})
	return d.explain(fmt.Sprintf("put %s of policy %s in charge", active, policy), err)
}

// Remove forgets a policy, its versions, its contexts and its rollout, and remembers that its modules are not wanted. They
// go with the next Collect.
func (d *DB) Remove(ctx context.Context, policy string) error {
	d.dropContexts(policy)
	err := d.changePolicy(ctx, policy, func(ctx context.Context, tx *sql.Tx) error {
		if err := d.drop(ctx, tx, policy); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `DELETE FROM policies WHERE name = ?`, policy)
		if err := needRow(r, err, policy); err != nil {
			return err
		}
		for _, table := range []string{"contexts", "rollouts"} {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` WHERE policy = ?`, policy); err != nil {
				return err
			}
		}
		return nil
	})
	return d.explain("remove policy "+policy, err)
}

// Policies returns every policy, by name.
func (d *DB) Policies(ctx context.Context) ([]Policy, error) {
	ps, err := policiesIn(ctx, d.read, "")
	return ps, d.explain("list the policies", err)
}

// Policy returns one policy, or [ErrNotFound].
func (d *DB) Policy(ctx context.Context, name string) (Policy, error) {
	p, err := policyIn(ctx, d.read, name)
	return p, d.explain("read policy "+name, err)
}

// Versions returns the versions of a policy, newest first.
func (d *DB) Versions(ctx context.Context, policy string) ([]Version, error) {
	vs, err := versionsIn(ctx, d.read, policy)
	return vs, d.explain("list the versions of "+policy, err)
}

func needRow(r sql.Result, err error, policy string) error {
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return unknown("policy.not-found", "policy "+policy)
}

// setPointers writes which versions are active and standby, and what that makes
// of the states of all versions.
func setPointers(ctx context.Context, tx *sql.Tx, policy, active, standby string) error {
	const states = `UPDATE versions SET
		state = CASE WHEN digest = ?2 THEN 'active' WHEN state = 'quarantined' THEN state WHEN digest = ?3 THEN 'standby'
			WHEN state IN ('active', 'standby') THEN 'retired' ELSE state END,
		reason = CASE WHEN digest = ?2 THEN '' ELSE reason END
		WHERE policy = ?1`
	if _, err := tx.ExecContext(ctx, states, policy, active, standby); err != nil {
		return err
	}
	const pointers = `UPDATE policies SET active = ?2, updated = ?4, standby = coalesce(
		(SELECT digest FROM versions WHERE policy = ?1 AND digest = ?3 AND state = 'standby'), '') WHERE name = ?1`
	_, err := tx.ExecContext(ctx, pointers, policy, active, standby, time.Now().UnixNano())
	return err
}

// rows is what a transaction and a database have in common.
type rows interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func policyIn(ctx context.Context, q rows, name string) (Policy, error) {
	ps, err := policiesIn(ctx, q, name)
	if err == nil && len(ps) == 0 {
		err = unknown("policy.not-found", "policy "+name)
	}
	if err != nil {
		return Policy{}, err
	}
	return ps[0], nil
}

func policiesIn(ctx context.Context, q rows, name string) ([]Policy, error) {
	const query = `SELECT name, enabled, active, standby, parameters, allow, updated FROM policies
		WHERE ?1 = '' OR name = ?1 ORDER BY name`
	return collect(ctx, q, query, []any{name}, func(r *sql.Rows) (p Policy, err error) {
		var parameters, allow string
		var updated int64
		if err := r.Scan(&p.Name, &p.Enabled, &p.Active, &p.Standby, &parameters, &allow, &updated); err != nil {
			return p, err
		}
		p.Updated = time.Unix(0, updated)
		return p, errors.Join(json.Unmarshal([]byte(parameters), &p.Parameters), json.Unmarshal([]byte(allow), &p.Allow))
	})
}

func versionIn(ctx context.Context, q rows, policy, digest string) (Version, error) {
	vs, err := versionsIn(ctx, q, policy)
	if err != nil {
		return Version{}, err
	}
	for _, v := range vs {
		if v.Digest == digest {
			return v, nil
		}
	}
	return Version{}, unknown("version.not-found", fmt.Sprintf("version %s of policy %s", digest, policy))
}

func versionsIn(ctx context.Context, q rows, policy string) ([]Version, error) {
	const query = `SELECT policy, digest, version, state, reason, size, accepted, by FROM versions
		WHERE policy = ? ORDER BY accepted DESC, rowid DESC`
	return collect(ctx, q, query, []any{policy}, func(r *sql.Rows) (v Version, err error) {
		var accepted int64
		err = r.Scan(&v.Policy, &v.Digest, &v.Version, &v.State, &v.Reason, &v.Size, &accepted, &v.By)
		v.Accepted = time.Unix(0, accepted)
		return v, err
	})
}

func collect[T any](ctx context.Context, q rows, query string, args []any, scan func(*sql.Rows) (T, error)) (all []T, err error) {
	r, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for r.Next() {
		x, err := scan(r)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, r.Err()
}
