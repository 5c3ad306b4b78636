package sources

import (
	"strings"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// Source is something that can be read again and again.
type Source interface {
	Describe() Description
	// Collect reads once. It is never called twice at the same time. What could be read counts,
	// even if an error is returned for the rest; an error that is fs.ErrNotExist means that this
	// machine has no such thing.
	Collect(*Sink) error
}

// Description says what a source can deliver.
type Description struct {
	Name string
	// Every is how often to read when nobody asks; 0 means the runner's interval.
	Every   time.Duration
	Metrics []Metric
}

// Metric is one metric name of a source. A name that ends in * stands for all with that beginning.
type Metric struct {
	Name string
	Kind ring.Kind
	Unit string
	Help string
}

func (m Metric) covers(name string) bool {
	if prefix, any := strings.CutSuffix(m.Name, "*"); any {
		return strings.HasPrefix(name, prefix)
	}
	return m.Name == name
}

func (d Description) covers(name string) bool {
	for _, m := range d.Metrics {
		if m.covers(name) {
			return true
		}
	}
	return false
}

// Func makes a source of a function.
func Func(d Description, collect func(*Sink) error) Source { return function{d, collect} }

type function struct {
	description Description
	collect     func(*Sink) error
}

func (f function) Describe() Description    { return f.description }
func (f function) Collect(sink *Sink) error { return f.collect(sink) }

// Sink takes what a source reads.
type Sink struct {
	batch     *ring.Batch
	keep      func(name string) bool
	introduce func(name string)
	unixMS    int64
	samples   uint64
}

// Put takes one value. All values of one collection have the same time.
func (s *Sink) Put(name string, value float64, labels ...ring.Label) {
	if !s.keep(name) {
		return
	}
	if s.batch.AppendTo(name, labels, s.unixMS, value) == nil { // the ring counts what it refuses
		s.samples++
		s.introduce(name)
	}
}
