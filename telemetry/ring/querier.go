package ring

import (
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier makes the store a [storage.Queryable]; times are inclusive, in unix milliseconds.
func (s *Store) Querier(fromMS, toMS int64) (storage.Querier, error) {
	return &querier{store: s, fromMS: fromMS, toMS: toMS}, nil
}

type querier struct {
	store        *Store
	fromMS, toMS int64
}

func (q *querier) Close() error { return nil }

func (q *querier) Select(_ context.Context, sorted bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	found := q.store.match(ms)
	if sorted {
		sortSeries(found)
	}
	return &seriesSet{q: q, series: found, at: -1}
}

func (q *querier) LabelValues(_ context.Context, name string, _ *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var values []string
	for _, r := range q.store.match(ms) {
		if v := r.labels.Get(name); v != "" {
			values = append(values, v)
		}
	}
	return distinct(values), nil, nil
}

func (q *querier) LabelNames(_ context.Context, _ *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	var names []string
	for _, r := range q.store.match(ms) {
		r.labels.Range(func(l labels.Label) { names = append(names, l.Name) })
	}
	return distinct(names), nil, nil
}

func distinct(ss []string) []string {
	slices.Sort(ss)
	return slices.Compact(ss)
}

type seriesSet struct {
	q      *querier
	series []*Series
	at     int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *seriesSet) At() storage.Series                { return &window{s.series[s.at], s.q} }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

// window is a series between two times.
type window struct {
	*Series
	q *querier
}

func (w *window) Labels() labels.Labels { return w.labels }

func (w *window) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	it, ok := reuse.(*iterator)
	if !ok {
		it = &iterator{}
	}
	it.reset(w.Series, w.q.fromMS, w.q.toMS)
	return it
}

// iterator walks the chunks of one series. The last chunk is opened under the series' lock; after
// that it may grow without disturbing the iterator.
type iterator struct {
	chunkenc.Iterator // of the current chunk
	sealed            []*chunkenc.XORChunk
	head              chunkenc.Iterator // nil when used up
	next              int
	done              bool
}

func (it *iterator) reset(r *Series, fromMS, toMS int64) {
	it.sealed, it.next, it.done, it.Iterator = it.sealed[:0], 0, false, chunkenc.NewNopIterator()
	r.mu.Lock()
	defer r.mu.Unlock()
	it.head = nil
	for i, c := range r.chunks {
		if c.lastMS < fromMS || c.firstMS > toMS {
			continue
		}
		if i == len(r.chunks)-1 {
			it.head = c.data.Iterator(nil)
			continue
		}
		it.sealed = append(it.sealed, c.data)
	}
}

func (it *iterator) Next() chunkenc.ValueType {
	for !it.done {
		if v := it.Iterator.Next(); v != chunkenc.ValNone {
			return v
		}
		if it.Iterator.Err() != nil {
			it.done = true
			break
		}
		it.advance()
	}
	return chunkenc.ValNone
}

// milliseconds is int64 under a name that keeps vet from taking Seek for io.Seeker's.
type milliseconds = int64

func (it *iterator) Seek(unixMS milliseconds) chunkenc.ValueType {
	for !it.done {
		if v := it.Iterator.Seek(unixMS); v != chunkenc.ValNone {
			return v
		}
		if it.Iterator.Err() != nil {
			it.done = true
			break
		}
		it.advance()
	}
	return chunkenc.ValNone
}

// advance opens the next chunk.
func (it *iterator) advance() {
	switch {
	case it.next < len(it.sealed):
		it.Iterator = it.sealed[it.next].Iterator(nil)
		it.next++
	case it.head != nil:
		it.Iterator, it.head = it.head, nil
	default:
		it.done = true
	}
}
