package sources

import (
	"github.com/prometheus/procfs/blockdevice"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// diskSource reads /proc/diskstats.
type diskSource struct{ host Host }

// sectorBytes is the unit of diskstats, whatever the device's own sectors are
// (Documentation/block/stat.rst).
const sectorBytes = 512

var diskMetrics = []struct {
	metric string
	kind   ring.Kind
	unit   string
	help   string
	value  func(blockdevice.IOStats) float64
}{
	{"node_disk_read_bytes_total", ring.Counter, "bytes", "Bytes read.", func(s blockdevice.IOStats) float64 { return float64(s.ReadSectors) * sectorBytes }},
	{"node_disk_written_bytes_total", ring.Counter, "bytes", "Bytes written.", func(s blockdevice.IOStats) float64 { return float64(s.WriteSectors) * sectorBytes }},
	{"node_disk_reads_completed_total", ring.Counter, "", "Reads done.", func(s blockdevice.IOStats) float64 { return float64(s.ReadIOs) }},
	{"node_disk_writes_completed_total", ring.Counter, "", "Writes done.", func(s blockdevice.IOStats) float64 { return float64(s.WriteIOs) }},
	{"node_disk_io_time_seconds_total", ring.Counter, "s", "Time in which the disk had something to do.", func(s blockdevice.IOStats) float64 { return float64(s.IOsTotalTicks) / 1000 }},
	{"node_disk_io_now", ring.Gauge, "", "Reads and writes under way.", func(s blockdevice.IOStats) float64 { return float64(s.IOsInProgress) }},
}

func (*diskSource) Describe() Description {
	d := Description{Name: "disk"}
	for _, m := range diskMetrics {
		d.Metrics = append(d.Metrics, Metric{m.metric, m.kind, m.unit, m.help})
	}
	return d
}

func (s *diskSource) Collect(sink *Sink) error {
	files, err := blockdevice.NewFS(s.host.proc(), s.host.sys())
	if err != nil {
		return err
	}
	disks, err := files.ProcDiskstats()
	if err != nil {
		return err
	}
	for _, disk := range disks {
		if disk.ReadIOs == 0 && disk.WriteIOs == 0 {
			continue // loop devices that nobody set up
		}
		device := ring.Label{Name: "device", Value: disk.DeviceName}
		for _, m := range diskMetrics {
			sink.Put(m.metric, m.value(disk.IOStats), device)
		}
	}
	return nil
}
