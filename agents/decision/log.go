package decision

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

// Log is the decision log. It implements agents.Log and agents.Recovery. Its
// methods may be called from any goroutine.
type Log struct {
	db *state.DB
	o  Options

	mu       sync.Mutex
	newest   map[agents.Key]agents.Decision // of each loop, kept or not
	tallies  map[Class]*tally
	samples  map[sampleKey]*sample
	closed   []*sample // replaced by a newer one before it was written
	counting bool      // there are counts to write
}

// Open returns the log that lives in db.
func Open(ctx context.Context, db *state.DB, o Options) (*Log, error) {
	if err := db.Migrate(ctx, "decision", schema); err != nil {
		return nil, fmt.Errorf("open the decision log: %w", err)
	}
	l := &Log{
		db: db, o: o.withDefaults(), newest: make(map[agents.Key]agents.Decision),
		tallies: make(map[Class]*tally), samples: make(map[sampleKey]*sample),
	}
	if err := l.countAll(ctx); err != nil {
		return nil, fmt.Errorf("open the decision log: %w", err)
	}
	db.Tend(l.untidy, l.tidy)
	return l, nil
}

var schema = []string{`
CREATE TABLE decisions (
	seq     INTEGER PRIMARY KEY AUTOINCREMENT,
	id      TEXT NOT NULL UNIQUE,
	time    INTEGER NOT NULL,
	policy  TEXT NOT NULL,
	asset   TEXT NOT NULL,
	outcome TEXT NOT NULL,
	class   TEXT NOT NULL,
	bytes   INTEGER NOT NULL,
	repeated INTEGER NOT NULL DEFAULT 0,
	body    BLOB NOT NULL,
	record  BLOB
) STRICT;
CREATE INDEX decisions_class ON decisions (class, seq, bytes);
CREATE INDEX decisions_policy ON decisions (policy, seq);
CREATE INDEX decisions_open ON decisions (seq) WHERE outcome = 'open';
CREATE TABLE decision_knobs (
	mechanism TEXT NOT NULL,
	knob      TEXT NOT NULL,
	seq       INTEGER NOT NULL REFERENCES decisions(seq) ON DELETE CASCADE,
	PRIMARY KEY (mechanism, knob, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX decision_knobs_seq ON decision_knobs (seq);
`}

// Begin makes decisions durable before they are acted on, in one transaction.
func (l *Log) Begin(ctx context.Context, ds ...agents.Decision) error {
	rows, err := l.encodeAll(ds)
	if err != nil {
		return err
	}
	err = l.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, r := range rows {
			if err := l.insert(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return state.Explain("write down what is about to be done", err)
	}
	l.remember(ds...)
	return nil
}

// Finish records the final form of a decision that was begun. If the disk does
// not take it now, it is tried again with later transactions.
func (l *Log) Finish(ctx context.Context, d agents.Decision) error {
	r, err := l.encode(d)
	if err != nil {
		return err
	}
	l.remember(d)
	op := func(ctx context.Context, tx *sql.Tx) error { return l.finish(ctx, tx, r) }
	if err = l.db.Update(ctx, op); err != nil {
		l.db.Later(op)
	}
	return state.Explain("record the outcome of decision "+d.ID, err)
}

func (l *Log) finish(ctx context.Context, tx *sql.Tx, r row) error {
	var was row
	err := tx.QueryRowContext(ctx, `SELECT class, bytes FROM decisions WHERE id = ?`, r.id).Scan(&was.class, &was.bytes)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE decisions SET outcome = ?, class = ?, bytes = ?, body = ? WHERE id = ?`,
		r.outcome, r.class, r.bytes, r.body, r.id)
	if err != nil {
		return err
	}
	l.add(was.class, -1, -int64(was.bytes))
	l.add(r.class, 1, int64(r.bytes))
	return nil
}

// Note keeps a decision that nobody acted on, or counts it if it is dull and
// like others. It does not wait for the disk.
func (l *Log) Note(d agents.Decision) {
	if d.Part == nil || d.Part.Decision == "" { // else another one counted
		l.remember(d)
	}
	if classOf(d.Outcome) == Dull && !l.sampled(d) {
		return
	}
	r, err := l.encode(d)
	if err != nil {
		l.o.Logger.Error("decision is not kept", "decision", d.ID, "error", err)
		return
	}
	l.db.Later(func(ctx context.Context, tx *sql.Tx) error { return l.insert(ctx, tx, r) })
}

// Unfinished returns the decisions that were begun and never finished. One that
// can't be read any more is closed here, so that it is not found again.
func (l *Log) Unfinished(ctx context.Context) (ds []agents.Decision, err error) {
	page, err := l.query(ctx, `SELECT seq, repeated, body FROM decisions WHERE outcome = 'open' ORDER BY seq`)
	if err != nil {
		return nil, state.Explain("find unfinished decisions", err)
	}
	for _, r := range page {
		if r.err == nil {
			ds = append(ds, r.decision)
			continue
		}
		err := l.db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `UPDATE decisions SET outcome = ? WHERE seq = ?`, agents.Interrupted, r.seq)
			return err
		})
		if err != nil {
			return nil, state.Explain("close an unreadable decision", err)
		}
	}
	return ds, nil
}

func (l *Log) remember(ds ...agents.Decision) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range ds {
		l.newest[d.Key] = d
	}
}

func (l *Log) insert(ctx context.Context, tx *sql.Tx, r row) error {
	x, err := tx.ExecContext(ctx, `INSERT INTO decisions (id, time, policy, asset, outcome, class, bytes, body, record)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.id, r.time, r.policy, r.asset, r.outcome, r.class, r.bytes, r.body, r.record)
	if err != nil {
		return err
	}
	seq, err := x.LastInsertId()
	if err != nil {
		return err
	}
	for _, k := range r.knobs {
		_, err := tx.ExecContext(ctx, `INSERT INTO decision_knobs VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			k.mechanism, k.knob, seq)
		if err != nil {
			return err
		}
	}
	l.add(r.class, 1, int64(r.bytes))
	return nil
}
