package decision

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

// Class groups outcomes that share a budget.
type Class string

// The classes.
const (
	Dull    Class = "dull"      // nothing needed doing
	Acted   Class = "acted"     // at least tried, interrupted included
	Lost    Class = "discarded" // planned, and lost to another plan, or to the version in charge
	Failing Class = "failed"    // the policy, or the log, failed
)

func classOf(o agents.Outcome) Class {
	switch o {
	case agents.NoPlan:
		return Dull
	case agents.Discarded, agents.Shadowed:
		return Lost
	case agents.Failed:
		return Failing
	}
	return Acted
}

// Budget bounds what is kept of a class.
type Budget struct {
	Rows  int
	Bytes int64
}

// Options tune a Log. The zero value is useful.
type Options struct {
	Logger      *slog.Logger
	Budgets     map[Class]Budget // a class that is missing has its default
	SampleEvery time.Duration    // of the dull episodes of one loop and trigger, one is kept; default 1 min
	MaxRecord   int              // bytes of one recorded episode; a longer one is not kept; default 1 MiB
}

var defaultBudgets = map[Class]Budget{
	Dull:    {Rows: 2_000, Bytes: 4 << 20},
	Acted:   {Rows: 20_000, Bytes: 64 << 20},
	Lost:    {Rows: 4_000, Bytes: 12 << 20},
	Failing: {Rows: 4_000, Bytes: 12 << 20},
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SampleEvery <= 0 {
		o.SampleEvery = time.Minute
	}
	if o.MaxRecord <= 0 {
		o.MaxRecord = 1 << 20
	}
	budgets := make(map[Class]Budget, len(defaultBudgets))
	for class, b := range defaultBudgets {
		if own, ok := o.Budgets[class]; ok {
			b = own
		}
		budgets[class] = b
	}
	o.Budgets = budgets
	return o
}

// tally is what is kept of a class. It is counted once, when the log is opened:
// adding up a table for each insert would cost more than the insert.
type tally struct {
	rows  int
	bytes int64
}

func (l *Log) countAll(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for class := range l.o.Budgets {
		l.tallies[class] = &tally{}
	}
	return l.db.View(ctx, func(ctx context.Context, q *sql.DB) error {
		r, err := q.QueryContext(ctx, `SELECT class, count(*), sum(bytes) FROM decisions GROUP BY class`)
		if err != nil {
			return err
		}
		defer func() { _ = r.Close() }()
		for r.Next() {
			var class Class
			var t tally
			if err := r.Scan(&class, &t.rows, &t.bytes); err != nil {
				return err
			}
			l.tallies[class] = &t
		}
		return r.Err()
	})
}

// add counts what entered (or, negative, left) a class.
func (l *Log) add(c Class, rows int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tallies[c]
	t.rows += rows
	t.bytes += bytes
}

// over says by how much a class exceeds its budget.
func (l *Log) over(c Class) (rows int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, b := l.tallies[c], l.o.Budgets[c]
	return max(t.rows-b.Rows, 0), max(t.bytes-b.Bytes, 0)
}

// untidy says that there is something for tidy to do.
func (l *Log) untidy() bool {
	for c := range l.o.Budgets {
		if rows, bytes := l.over(c); rows > 0 || bytes > 0 {
			return true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counting
}

// tidy writes the counts of dull decisions and deletes the oldest of each class
// that is over its budget. It goes with a flush, so that nobody who is about to
// act waits for it.
func (l *Log) tidy(ctx context.Context, tx *sql.Tx) error {
	for c := range l.o.Budgets {
		overRows, overBytes := l.over(c)
		if overRows == 0 && overBytes == 0 {
			continue
		}
		rows, freed, err := deleteOldest(ctx, tx, c, overRows, overBytes)
		if err != nil {
			return err
		}
		l.add(c, -rows, -freed)
		if rows == 0 { // miscounted: a transaction failed after it was counted
			if err := l.countAll(ctx); err != nil {
				return err
			}
		}
	}
	return l.writeCounts(ctx, tx)
}

const trimStep = 512 // rows in one transaction, to keep it short

// deleteOldest makes room in a class. What is still open stays.
func deleteOldest(ctx context.Context, tx *sql.Tx, c Class, overRows int, overBytes int64) (rows int, freed int64, err error) {
	r, err := tx.QueryContext(ctx, `SELECT seq, bytes FROM decisions WHERE class = ? AND outcome <> 'open' ORDER BY seq LIMIT ?`,
		c, trimStep)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = r.Close() }()
	var last int64
	for r.Next() && (rows < overRows || freed < overBytes) {
		var bytes int64
		if err := r.Scan(&last, &bytes); err != nil {
			return 0, 0, err
		}
		rows++
		freed += bytes
	}
	if err := r.Err(); err != nil {
		return 0, 0, err
	}
	if err := r.Close(); err != nil {
		return 0, 0, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM decisions WHERE class = ? AND outcome <> 'open' AND seq <= ?`, c, last)
	return rows, freed, err
}

// sampleKey says which dull decisions are alike.
type sampleKey struct {
	key     agents.Key
	version string
	trigger agents.TriggerKind
}

// sample is the dull decision that was kept, and how many it stands for.
type sample struct {
	id       string
	at       time.Time // monotonic: the wall clock may jump
	repeated int64
	written  int64 // of repeated
}

// sampled says whether a dull decision is to be kept, and counts it if not. What
// a person asked for always is.
func (l *Log) sampled(d agents.Decision) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := sampleKey{d.Key, d.Version, d.Trigger.Kind}
	now := time.Now()
	s := l.samples[k]
	if s != nil && now.Sub(s.at) < l.o.SampleEvery && d.Trigger.Kind != agents.Manual {
		s.repeated++
		l.counting = true
		return false
	}
	if s != nil && s.repeated > s.written {
		l.closed = append(l.closed, s)
	}
	l.samples[k] = &sample{id: d.ID, at: now}
	return true
}

func (l *Log) writeCounts(ctx context.Context, tx *sql.Tx) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counting = false
	due := l.closed
	l.closed = nil
	for k, s := range l.samples {
		if s.repeated > s.written {
			due = append(due, s)
		}
		if time.Since(s.at) > 2*l.o.SampleEvery { // the loop has gone
			delete(l.samples, k)
		}
	}
	for _, s := range due {
		if _, err := tx.ExecContext(ctx, `UPDATE decisions SET repeated = ? WHERE id = ?`, s.repeated, s.id); err != nil {
			return state.Explain("count dull decisions", err)
		}
		s.written = s.repeated
	}
	return nil
}
