package sources

import (
	"fmt"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// loadSource reads /proc/loadavg.
type loadSource struct{ host Host }

var loadNames = [3]string{"node_load1", "node_load5", "node_load15"}

func (*loadSource) Describe() Description {
	return Description{Name: "load", Metrics: []Metric{
		{loadNames[0], ring.Gauge, "1", "Load average over 1 minute."},
		{loadNames[1], ring.Gauge, "1", "Load average over 5 minutes."},
		{loadNames[2], ring.Gauge, "1", "Load average over 15 minutes."},
	}}
}

func (s *loadSource) Collect(sink *Sink) error {
	b, err := s.host.readProc("loadavg")
	if err != nil {
		return err
	}
	var loads [3]float64
	if n := fields(b, loads[:]); n < len(loads) {
		return fmt.Errorf("read /proc/loadavg: %w", errNothing)
	}
	for i, name := range loadNames {
		sink.Put(name, loads[i])
	}
	return nil
}
