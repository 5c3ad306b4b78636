package sources

import (
	"errors"
	"io/fs"
	"time"

	"github.com/edgehold/edgehold/telemetry/attr"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// about is the source that tells what the sources cost.
func (r *Runner) about() Source {
	return Func(Description{
		Name:  "sources",
		Every: 5 * time.Second,
		Metrics: []Metric{
			{attr.SourceDuration, ring.Gauge, "s", "Time that the last collection took."},
			{attr.SourceCPU, ring.Counter, "s", "Processor time spent collecting."},
			{attr.SourceInterval, ring.Gauge, "s", "Time between collections, as in force."},
			{attr.SourceRuns, ring.Counter, "", "Collections."},
			{attr.SourceErrors, ring.Counter, "", "Collections that failed in part or whole."},
			{attr.SourceSamples, ring.Counter, "", "Samples delivered."},
		},
	}, r.tellStatus)
}

func (r *Runner) tellStatus(sink *Sink) error {
	for _, s := range r.Status() {
		if s.Runs == 0 || errors.Is(s.Err, fs.ErrNotExist) {
			continue
		}
		source := ring.Label{Name: attr.Source, Value: s.Name}
		sink.Put(attr.SourceDuration, s.Duration.Seconds(), source)
		sink.Put(attr.SourceCPU, s.CPU.Seconds(), source)
		sink.Put(attr.SourceInterval, s.Interval.Seconds(), source)
		sink.Put(attr.SourceRuns, float64(s.Runs), source)
		sink.Put(attr.SourceErrors, float64(s.Errors), source)
		sink.Put(attr.SourceSamples, float64(s.Samples), source)
	}
	return nil
}
