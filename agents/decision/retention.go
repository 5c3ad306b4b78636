package decision

import (
	"context"
	"database/sql"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/agents"
)

// Class groups outcomes that share a budget.
type Class string

// The classes.
const (
	Dull      Class = "dull"      // nothing needed doing
	Acted     Class = "acted"     // at least tried, interrupted included
	Lost      Class = "discarded" // planned, and lost to another plan
	Failing   Class = "failed"    // the policy, or the log, failed
	trimEvery       = 64          // inserts of a class
)

func classOf(o agents.Outcome) Class {
	switch o {
	case agents.NoPlan:
		return Dull
	case agents.Discarded:
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
}

var defaultBudgets = map[Class]Budget{
	Dull:    {Rows: 2_000, Bytes: 4 << 20},
	Acted:   {Rows: 20_000, Bytes: 64 << 20},
	Lost:    {Rows: 4_000, Bytes: 12 << 20},
	Failing: {Rows: 4_000, Bytes: 12 << 20},
}

const keepHours = 31 * 24 // of counts

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SampleEvery <= 0 {
		o.SampleEvery = time.Minute
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

func (l *Log) trimSometimes(ctx context.Context, tx *sql.Tx, c Class) error {
	l.mu.Lock()
	l.inserts[c]++
	due := l.inserts[c] >= min(trimEvery, l.o.Budgets[c].Rows)
	if due {
		l.inserts[c] = 0
	}
	l.mu.Unlock()
	if !due {
		return nil
	}
	return trim(ctx, tx, c, l.o.Budgets[c])
}

// trim deletes the oldest of a class until its budget holds. What is still open
// stays.
func trim(ctx context.Context, tx *sql.Tx, c Class, b Budget) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM decisions WHERE class = ?1 AND outcome <> 'open' AND seq <= (
		SELECT max(seq) FROM (
			SELECT seq, row_number() OVER w AS place, sum(bytes) OVER w AS total
			FROM decisions WHERE class = ?1 WINDOW w AS (ORDER BY seq DESC))
		WHERE place > ?2 OR total > ?3)`, c, b.Rows, b.Bytes)
	return err
}

type sampleKey struct {
	key     agents.Key
	version string
	trigger agents.TriggerKind
}

type sample struct{ at time.Time }

type countKey struct {
	key     agents.Key
	version string
	hour    int64 // since 1970
}

type count struct {
	runs int64
	fuel uint64
}

// sampled counts a dull decision and says whether it is to be kept: what a
// person asked for always is.
func (l *Log) sampled(d agents.Decision) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.countDull(d)
	if d.Trigger.Kind == agents.Manual {
		return true
	}
	k := sampleKey{d.Key, d.Version, d.Trigger.Kind}
	now := time.Now() // monotonic: the wall clock may jump
	if s, ok := l.samples[k]; ok && now.Sub(s.at) < l.o.SampleEvery {
		return false
	}
	l.samples[k] = sample{now}
	return true
}

// countDull adds to this hour's count, and queues the write of the counts if
// none waits. l.mu is held.
func (l *Log) countDull(d agents.Decision) {
	k := countKey{d.Key, d.Version, d.Time.Unix() / 3600}
	if len(l.counts) == 0 {
		l.db.Later(l.writeCounts)
	}
	c := l.counts[k]
	if c == nil {
		c = &count{}
		l.counts[k] = c
	}
	c.runs++
	c.fuel += d.Fuel
}

func (l *Log) writeCounts(ctx context.Context, tx *sql.Tx) error {
	l.mu.Lock()
	counts := l.counts
	l.counts = make(map[countKey]*count)
	l.mu.Unlock()
	var newest int64
	for k, c := range counts {
		newest = max(newest, k.hour)
		_, err := tx.ExecContext(ctx, `INSERT INTO decision_counts VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET runs = runs + excluded.runs, fuel = fuel + excluded.fuel`,
			k.key.Policy, string(k.key.Asset), k.version, k.hour, c.runs, int64(c.fuel))
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM decision_counts WHERE hour < ?`, newest-keepHours)
	return err
}
