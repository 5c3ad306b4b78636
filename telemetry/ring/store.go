package ring

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql"
)

// Store is the ring. Create it with [New].
type Store struct {
	config    Config
	engine    *promql.Engine
	slots     chan struct{} // one for each query that may run
	counts    counts
	bytes     atomic.Int64
	squeezing sync.Mutex    // held while bytes are freed
	poke      chan struct{} // Run looks again at what is due

	mu          sync.RWMutex
	series      map[string]*Series // by key
	families    map[string]*family // by metric name
	expressions map[*Selection]struct{}
	selections  int
	meta        map[string]Meta
	sweptMS     int64
}

// family is everything that has one metric name.
type family struct {
	name       string
	series     []*Series // in order of creation
	selections []*Selection
}

var errDead = errors.New("ring: series has been evicted")

// New returns an empty store.
func New(c Config) (*Store, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Store{
		config:      c,
		slots:       make(chan struct{}, c.QueryConcurrency),
		poke:        make(chan struct{}, 1),
		series:      make(map[string]*Series),
		families:    make(map[string]*family),
		expressions: make(map[*Selection]struct{}),
		meta:        make(map[string]Meta),
	}
	s.engine = newEngine(c)
	return s, nil
}

func (s *Store) nowMS() int64 { return s.config.Clock().UnixMilli() }

// Append adds one sample to the series of name and labels, which may come in any order. Whoever
// appends often to the same series keeps what [Store.Series] returns and saves the lookup.
func (s *Store) Append(name string, ls []Label, unixMS int64, v float64) error {
	r, err := s.find(name, ls)
	if err != nil {
		return err
	}
	return r.Append(unixMS, v)
}

// Series returns the series of name and labels, made if it is new and there is room.
func (s *Store) Series(name string, ls ...Label) (*Series, error) { return s.find(name, ls) }

func (s *Store) find(name string, ls []Label) (*Series, error) {
	var labelBuf [maxLabels]Label
	var keyBuf [512]byte
	sorted := normalise(labelBuf[:0], ls)
	key := appendKey(keyBuf[:0], name, sorted)
	s.mu.RLock()
	r := s.series[string(key)]
	s.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	return s.create(string(key), name, sorted)
}

func (s *Store) create(key, name string, sorted []Label) (*Series, error) {
	if err := s.config.checkLabels(name, sorted); err != nil {
		s.counts.refusedLabels.Add(1)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.series[key]; r != nil {
		return r, nil
	}
	if err := s.makeRoom(name); err != nil {
		return nil, err
	}
	r := &Series{store: s, key: key, labels: promLabels(name, sorted), lastMS: s.nowMS()}
	s.enlist(r)
	return r, nil
}

// makeRoom finds room for one series; s.mu is held.
func (s *Store) makeRoom(name string) error {
	if len(s.series) < s.config.MaxSeries {
		return nil
	}
	if nowMS := s.nowMS(); nowMS-s.sweptMS >= 1000 || nowMS < s.sweptMS {
		s.evictIdle(nowMS)
	}
	if len(s.series) < s.config.MaxSeries {
		return nil
	}
	s.counts.refusedSeries.Add(1)
	return &Error{
		code: "telemetry.too-many-series",
		what: fmt.Sprintf("add a series of %s", name),
		why:  fmt.Sprintf("the ring holds %d series, all of them live, and that is its bound", s.config.MaxSeries),
		hint: "raise telemetry max series, or drop labels with many values where the metric is made",
	}
}

// enlist enters r in all tables; s.mu is held.
func (s *Store) enlist(r *Series) {
	name := r.labels.Get(nameLabel)
	f := s.families[name]
	if f == nil {
		f = &family{name: name}
		s.families[name] = f
	}
	r.family = f
	f.series = append(f.series, r)
	s.series[r.key] = r
	for _, sel := range f.selections {
		sel.offer(r)
	}
}

// revive brings an evicted series back, or finds the one that replaced it.
func (s *Store) revive(r *Series) (*Series, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if live := s.series[r.key]; live != nil {
		return live, nil
	}
	if err := s.makeRoom(r.labels.Get(nameLabel)); err != nil {
		return r, err
	}
	r.mu.Lock()
	r.dead, r.lastMS = false, s.nowMS()
	r.mu.Unlock()
	s.enlist(r)
	return r, nil
}
