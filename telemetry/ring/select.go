package ring

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Request describes what a selection reads: a metric name narrowed by matchers, or a PromQL
// expression.
type Request struct {
	Name     string
	Matchers []Matcher
	Query    string // instead of Name and Matchers
	Reduce   Reduce
	// Every is how often an expression is evaluated. Default 1 s, least 50 ms.
	Every time.Duration
}

// Reading is what a selection says now.
type Reading struct {
	Value  float64 // NaN if Series is 0
	UnixMS int64   // of the oldest sample that Value was made of; Last: of the newest
	Age    time.Duration
	Series int // that contributed
}

// Missing reports whether there is no value.
func (r Reading) Missing() bool { return r.Series == 0 }

// Selection keeps one request up to date. Reading it takes no longer when the store grows.
type Selection struct {
	store    *Store
	request  Request
	matchers []*labels.Matcher
	watched  atomic.Int32 // number of watches
	dirty    atomic.Bool

	mu        sync.Mutex
	members   []*Series
	now       Reading   // without Age
	expiresMS int64     // when the first member of now becomes too old
	due       time.Time // expressions: when to evaluate again
	failing   bool      // expressions: the last evaluation failed
	watches   []*Watch
	closed    bool
}

const leastEvery = 50 * time.Millisecond

// Select opens a selection. Close it when it is no longer needed.
func (s *Store) Select(q Request) (*Selection, error) {
	sel, err := s.newSelection(q)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.selections >= s.config.MaxSelections {
		return nil, badSelection(fmt.Sprintf("%d selections are open, and that is the bound", s.selections))
	}
	s.selections++
	if q.Query != "" {
		s.expressions[sel] = struct{}{}
		s.wake()
		return sel, nil
	}
	f := s.families[q.Name]
	if f == nil {
		f = &family{name: q.Name}
		s.families[q.Name] = f
	}
	f.selections = append(f.selections, sel)
	for _, r := range f.series {
		sel.offer(r)
	}
	return sel, nil
}

func (s *Store) newSelection(q Request) (*Selection, error) {
	if q.Reduce == "" {
		q.Reduce = Last
	}
	if q.Every == 0 {
		q.Every = time.Second
	}
	q.Every = max(q.Every, leastEvery)
	if !slices.Contains([]Reduce{Last, Sum, Avg, Min, Max}, q.Reduce) {
		return nil, badSelection(fmt.Sprintf("unknown reduction %q", q.Reduce))
	}
	if (q.Name == "") == (q.Query == "") {
		return nil, badSelection("exactly one of a name and an expression is needed")
	}
	if q.Query != "" {
		if err := checkExpression(q.Query); err != nil {
			return nil, err
		}
	}
	ms, err := compileMatchers(q.Matchers)
	if err != nil {
		return nil, err
	}
	sel := &Selection{store: s, request: q, matchers: ms}
	sel.now.Value = math.NaN()
	sel.expiresMS = math.MaxInt64
	return sel, nil
}

// Request returns what the selection was opened with.
func (sel *Selection) Request() Request { return sel.request }

// Close ends the selection and its watches.
func (sel *Selection) Close() {
	s := sel.store
	s.mu.Lock()
	defer s.mu.Unlock()
	sel.mu.Lock()
	defer sel.mu.Unlock()
	if sel.closed {
		return
	}
	sel.closed = true
	s.selections--
	delete(s.expressions, sel)
	for _, r := range sel.members {
		r.dropReader(sel)
	}
	if f := s.families[sel.request.Name]; f != nil {
		f.selections = slices.DeleteFunc(f.selections, func(o *Selection) bool { return o == sel })
		if len(f.series) == 0 && len(f.selections) == 0 {
			delete(s.families, f.name)
		}
	}
	sel.members, sel.watches = nil, nil
	sel.watched.Store(0)
}

// offer takes r in if it matches; the store's lock is held.
func (sel *Selection) offer(r *Series) {
	if !matchAll(sel.matchers, r.labels) {
		return
	}
	sel.mu.Lock()
	sel.members = append(sel.members, r)
	sel.mu.Unlock()
	sel.dirty.Store(true)
	readers := append(slices.Clone(r.readers()), sel)
	r.selections.Store(&readers)
}

// prune lets evicted series go; the store's lock is held.
func (sel *Selection) prune() {
	sel.mu.Lock()
	sel.members = slices.DeleteFunc(sel.members, (*Series).isDead)
	sel.mu.Unlock()
	sel.dirty.Store(true)
}

func (r *Series) dropReader(sel *Selection) {
	rest := slices.DeleteFunc(slices.Clone(r.readers()), func(o *Selection) bool { return o == sel })
	r.selections.Store(&rest)
}

// Read returns the reading now.
func (sel *Selection) Read() Reading {
	nowMS := sel.store.nowMS()
	sel.mu.Lock()
	sel.refresh(nowMS)
	now := sel.now
	sel.mu.Unlock()
	if now.Missing() {
		now.Age = math.MaxInt64
		return now
	}
	now.Age = max(0, time.Duration(nowMS-now.UnixMS)*time.Millisecond)
	return now
}

// refresh reduces again if a sample has come or one has become too old; sel.mu is held.
func (sel *Selection) refresh(nowMS int64) {
	expired := nowMS > sel.expiresMS
	if sel.request.Query != "" {
		if expired {
			sel.set(Reading{Value: math.NaN()}, math.MaxInt64)
		}
		return
	}
	if sel.dirty.Swap(false) || expired {
		sel.reduce(nowMS)
	}
}

func (sel *Selection) set(r Reading, expiresMS int64) { sel.now, sel.expiresMS = r, expiresMS }

// reduce makes one value of all members that have one; sel.mu is held.
func (sel *Selection) reduce(nowMS int64) {
	lookbackMS := sel.store.config.Lookback.Milliseconds()
	a := accumulator{how: sel.request.Reduce}
	for _, r := range sel.members {
		if unixMS, v, ok := r.latest(); ok && nowMS-unixMS <= lookbackMS {
			a.add(unixMS, v)
		}
	}
	sel.set(a.reading(), a.expiresMS(lookbackMS))
}
