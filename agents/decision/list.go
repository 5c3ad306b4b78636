package decision

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents"
	"github.com/edgehold/edgehold/agents/state"
)

// Filter narrows a list. Empty fields don't.
type Filter struct {
	Policy    string
	Asset     agents.Asset
	Outcomes  []agents.Outcome
	Mechanism string
	Knob      string
	Since     time.Time                   // inclusive
	Until     time.Time                   // exclusive
	Match     func(*agents.Decision) bool // what the fields above can't express; nil matches all
	Limit     int                         // default 50, at most 500
	Cursor    string                      // Page.Next of the page before
}

// Page is a part of a list, newest first, without the records of the episodes.
type Page struct {
	Decisions []agents.Decision
	Next      string // empty on the last page
}

const (
	defaultLimit = 50
	maxLimit     = 500
)

// List returns a page of what is kept.
func (l *Log) List(ctx context.Context, f Filter) (Page, error) {
	if err := l.db.Flush(ctx); err != nil { // a list is still useful without the last second
		l.o.Logger.Warn("list may lack the newest decisions", "error", err)
	}
	if f.Limit <= 0 {
		f.Limit = defaultLimit
	}
	f.Limit = min(f.Limit, maxLimit)
	where, args, err := f.where()
	if err != nil {
		return Page{}, err
	}
	query := `SELECT seq, repeated, body FROM decisions` + where + fmt.Sprintf(` ORDER BY seq DESC LIMIT %d`, f.rows()+1)
	found, err := l.query(ctx, query, args...)
	if err != nil {
		return Page{}, state.Explain("list the decisions", err)
	}
	return l.page(ctx, f, found)
}

// rows is how many are read at a time: with a Match nobody knows how many of them count.
func (f Filter) rows() int {
	if f.Match != nil {
		return maxLimit
	}
	return f.Limit
}

// page makes a page of what was found. If all of it was read and the page is not full, the list goes on behind it.
func (l *Log) page(ctx context.Context, f Filter, rows []found) (Page, error) {
	var p Page
	for i, r := range rows {
		if i == f.rows() || len(p.Decisions) == f.Limit {
			p.Next = strconv.FormatInt(rows[i-1].seq, 36)
			break
		}
		if r.err != nil { // one damaged row does not hide the others
			l.o.Logger.Error("a decision can't be read", "seq", r.seq, "error", r.err)
			continue
		}
		if f.Match == nil || f.Match(&r.decision) {
			p.Decisions = append(p.Decisions, r.decision)
		}
	}
	missing := f.Limit - len(p.Decisions)
	if f.Match == nil || p.Next == "" || missing == 0 {
		return p, nil
	}
	f.Cursor, f.Limit = p.Next, missing
	rest, err := l.List(ctx, f)
	p.Decisions, p.Next = append(p.Decisions, rest.Decisions...), rest.Next
	return p, err
}

func (f Filter) where() (clause string, args []any, err error) {
	var terms []string
	add := func(term string, values ...any) {
		terms = append(terms, term)
		args = append(args, values...)
	}
	if f.Policy != "" {
		add("policy = ?", f.Policy)
	}
	if f.Asset != "" {
		add("asset = ?", string(f.Asset))
	}
	if len(f.Outcomes) > 0 {
		add("outcome IN (?"+strings.Repeat(", ?", len(f.Outcomes)-1)+")", anys(f.Outcomes)...)
	}
	if f.Mechanism != "" || f.Knob != "" {
		add(`seq IN (SELECT seq FROM decision_knobs WHERE (? = '' OR mechanism = ?) AND (? = '' OR knob = ?))`,
			f.Mechanism, f.Mechanism, f.Knob, f.Knob)
	}
	if !f.Since.IsZero() {
		add("time >= ?", f.Since.UnixNano())
	}
	if !f.Until.IsZero() {
		add("time < ?", f.Until.UnixNano())
	}
	if f.Cursor != "" {
		seq, err := strconv.ParseInt(f.Cursor, 36, 64)
		if err != nil {
			return "", nil, &state.Error{Code: "decision.bad-cursor", What: "list the decisions", Why: "the cursor is not one of ours",
				Hint: "use the one that the page before gave", Err: err}
		}
		add("seq < ?", seq)
	}
	if len(terms) == 0 {
		return "", nil, nil
	}
	return " WHERE " + strings.Join(terms, " AND "), args, nil
}

func anys[T ~string](xs []T) []any {
	out := make([]any, len(xs))
	for i, x := range xs {
		out[i] = string(x)
	}
	return out
}

// Get returns a decision with its record. An id may be shortened as long as it
// is the only one that begins so.
func (l *Log) Get(ctx context.Context, id string) (agents.Decision, error) {
	if d, ok := l.inMemory(id); ok {
		return d, nil
	}
	if err := l.db.Flush(ctx); err != nil {
		l.o.Logger.Warn("the newest decisions are not in the log yet", "error", err)
	}
	var d agents.Decision
	err := l.db.View(ctx, func(ctx context.Context, q *sql.DB) (err error) {
		d, err = get(ctx, q, id)
		return err
	})
	return d, state.Explain("read decision "+id, err)
}

func get(ctx context.Context, q *sql.DB, id string) (d agents.Decision, err error) {
	r, err := q.QueryContext(ctx, `SELECT repeated, body, record FROM decisions WHERE id >= ?1 AND id < ?1 || '~' ORDER BY id = ?1 DESC LIMIT 2`, id)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	n := 0
	for ; r.Next() && (n == 0 || d.ID != id); n++ {
		var repeated int64
		var body, record []byte
		if err := r.Scan(&repeated, &body, &record); err != nil {
			return d, err
		}
		if d, err = decode(body); err != nil {
			return d, err
		}
		d.Record, d.Repeated = record, repeated
	}
	if err := r.Err(); err != nil {
		return d, err
	}
	return d, unique(n, id)
}

func unique(n int, id string) error {
	switch {
	case n == 0 || id == "":
		return &state.Error{Code: "decision.not-found", What: "find decision " + id, Err: state.ErrNotFound,
			Why:  "it is unknown, was dropped for room, or was one of many dull runs, of which only samples are kept",
			Hint: "list the decisions"}
	case n > 1:
		return &state.Error{Code: "decision.ambiguous", What: "find decision " + id, Why: "several begin so",
			Hint: "give more of its characters"}
	}
	return nil
}

func (l *Log) inMemory(id string) (agents.Decision, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.newest {
		if d.ID == id {
			return d, true
		}
	}
	return agents.Decision{}, false
}

// Newest returns the newest decision of each loop, dull ones included.
func (l *Log) Newest(k agents.Key) (agents.Decision, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d, ok := l.newest[k]
	return d, ok
}

type found struct {
	seq      int64
	decision agents.Decision
	err      error // of decoding it
}

// query runs a query for seq, repeated and body.
func (l *Log) query(ctx context.Context, query string, args ...any) (all []found, err error) {
	err = l.db.View(ctx, func(ctx context.Context, q *sql.DB) (err error) {
		r, err := q.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		for r.Next() {
			var f found
			var body []byte
			var repeated int64
			if err := r.Scan(&f.seq, &repeated, &body); err != nil {
				return err
			}
			f.decision, f.err = decode(body)
			f.decision.Repeated = repeated
			all = append(all, f)
		}
		return r.Err()
	})
	return all, err
}
