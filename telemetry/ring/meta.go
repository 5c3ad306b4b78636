package ring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// Kind says how a metric's values behave.
type Kind string

// The kinds of the Prometheus text format.
const (
	Untyped   Kind = ""
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram" // series NAME_bucket, NAME_sum and NAME_count
	Summary   Kind = "summary"   // series NAME, NAME_sum and NAME_count
)

// Meta describes a metric name.
type Meta struct {
	Kind Kind
	Unit string // as people write it: "Hz", "bytes", "s", "1"
	Help string
}

const maxHelpBytes = 1024

// Describe sets the description of a metric name; a later one replaces it. A description past the
// bound of [Config.MaxSeries] names is refused.
func (s *Store) Describe(name string, m Meta) error {
	m.Help = strings.ToValidUTF8(m.Help[:min(len(m.Help), maxHelpBytes)], "")
	s.mu.RLock()
	old, known := s.meta[name]
	s.mu.RUnlock()
	if known && old == m {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !known && len(s.meta) >= s.config.MaxSeries {
		return badLabels(name, fmt.Sprintf("%d metric names are described, and that is the bound", len(s.meta)))
	}
	s.meta[name] = m
	return nil
}

// Meta returns the description of a metric name.
func (s *Store) Meta(name string) Meta {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.meta[name]
}

// Described returns every description by metric name.
func (s *Store) Described() map[string]Meta {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.meta)
}

// Name is one metric name that the store has samples of.
type Name struct {
	Name   string
	Meta   Meta
	Series int
}

// Names lists the metric names, sorted.
func (s *Store) Names() []Name {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]Name, 0, len(s.families))
	for _, f := range s.families {
		if len(f.series) > 0 {
			names = append(names, Name{f.name, s.meta[f.name], len(f.series)})
		}
	}
	slices.SortFunc(names, func(a, b Name) int { return cmp.Compare(a.Name, b.Name) })
	return names
}

// Sample is the last value of a series.
type Sample struct {
	Name   string
	Labels []Label // sorted by name
	UnixMS int64
	Value  float64
}

// Latest returns the last sample of every series of name that matches and is not older than the
// lookback; an empty name stands for every metric. Sorted by name and labels.
func (s *Store) Latest(name string, ms ...Matcher) ([]Sample, error) {
	compiled, err := compileMatchers(ms)
	if err != nil {
		return nil, err
	}
	if name != "" {
		compiled = append(compiled, labels.MustNewMatcher(labels.MatchEqual, nameLabel, name))
	}
	oldestMS := s.nowMS() - s.config.Lookback.Milliseconds()
	found := s.match(compiled)
	sortSeries(found)
	out := make([]Sample, 0, len(found))
	for _, r := range found {
		unixMS, v, ok := r.latest()
		if !ok || unixMS < oldestMS {
			continue
		}
		name, rest := plainLabels(r.labels)
		out = append(out, Sample{name, rest, unixMS, v})
	}
	return out, nil
}

// match returns the series that all matchers accept, in no order.
func (s *Store) match(ms []*labels.Matcher) []*Series {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []*Series
	for _, f := range s.candidates(ms) {
		for _, r := range f.series {
			if matchAll(ms, r.labels) {
				found = append(found, r)
			}
		}
	}
	return found
}

// candidates narrows by an exact metric name where there is one; s.mu is held.
func (s *Store) candidates(ms []*labels.Matcher) []*family {
	for _, m := range ms {
		if m.Name == nameLabel && m.Type == labels.MatchEqual {
			if f := s.families[m.Value]; f != nil {
				return []*family{f}
			}
			return nil
		}
	}
	return slices.Collect(maps.Values(s.families))
}

func sortSeries(rs []*Series) {
	slices.SortFunc(rs, func(a, b *Series) int { return labels.Compare(a.labels, b.labels) })
}
