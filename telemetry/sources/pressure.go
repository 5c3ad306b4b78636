package sources

import (
	"errors"

	"github.com/prometheus/procfs"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// pressureSource reads /proc/pressure (Documentation/accounting/psi.rst).
type pressureSource struct{ host Host }

const (
	waiting = "Time in which some task waited for this resource."
	stalled = "Time in which every task waited for this resource."
)

func (*pressureSource) Describe() Description {
	return Description{Name: "pressure", Metrics: []Metric{
		{"node_pressure_cpu_waiting_seconds_total", ring.Counter, "s", waiting},
		{"node_pressure_cpu_stalled_seconds_total", ring.Counter, "s", stalled},
		{"node_pressure_io_waiting_seconds_total", ring.Counter, "s", waiting},
		{"node_pressure_io_stalled_seconds_total", ring.Counter, "s", stalled},
		{"node_pressure_memory_waiting_seconds_total", ring.Counter, "s", waiting},
		{"node_pressure_memory_stalled_seconds_total", ring.Counter, "s", stalled},
	}}
}

func (s *pressureSource) Collect(sink *Sink) error {
	files, err := procfs.NewFS(s.host.proc())
	if err != nil {
		return err
	}
	var errs []error
	for _, resource := range [...]string{"cpu", "io", "memory"} {
		psi, err := files.PSIStatsForResource(resource)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		putPressure(sink, psi.Some, "node_pressure_"+resource+"_waiting_seconds_total")
		putPressure(sink, psi.Full, "node_pressure_"+resource+"_stalled_seconds_total")
	}
	return errors.Join(errs...)
}

func putPressure(sink *Sink, line *procfs.PSILine, name string) {
	if line != nil {
		sink.Put(name, float64(line.Total)/1e6)
	}
}
