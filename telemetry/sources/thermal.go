package sources

import (
	"path/filepath"
	"strings"
	"time"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// thermalSource reads /sys/class/thermal. A zone may answer EIO or EINVAL at any time; it is then
// left out.
type thermalSource struct{ host Host }

func (*thermalSource) Describe() Description {
	return Description{Name: "thermal", Every: 2 * time.Second, Metrics: []Metric{
		{"node_thermal_zone_temp", ring.Gauge, "Cel", "Temperature of the zone."},
	}}
}

func (s *thermalSource) Collect(sink *Sink) error {
	zones, err := glob(s.host.sys("class/thermal"), "thermal_zone[0-9]*")
	if err != nil {
		return err
	}
	for _, zone := range zones {
		kind, err := readText(filepath.Join(zone, "type"))
		if err != nil {
			continue
		}
		number := strings.TrimPrefix(filepath.Base(zone), "thermal_zone")
		putNumber(sink, filepath.Join(zone, "temp"), "node_thermal_zone_temp", 1000,
			ring.Label{Name: "type", Value: kind}, ring.Label{Name: "zone", Value: number})
	}
	return nil
}
