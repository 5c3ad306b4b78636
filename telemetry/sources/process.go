package sources

import (
	"errors"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/prometheus/procfs"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// processSource tells about the daemon itself, under the names that Prometheus clients use.
type processSource struct{ host Host }

func (*processSource) Describe() Description {
	return Description{Name: "process", Every: 5 * time.Second, Metrics: []Metric{
		{"process_cpu_seconds_total", ring.Counter, "s", "Processor time used by the daemon."},
		{"process_resident_memory_bytes", ring.Gauge, "bytes", "Resident memory of the daemon."},
		{"process_open_fds", ring.Gauge, "", "Open files of the daemon."},
		{"process_start_time_seconds", ring.Gauge, "s", "When the daemon was started, in unix time."},
		{"go_goroutines", ring.Gauge, "", "Goroutines."},
		{"go_memstats_heap_alloc_bytes", ring.Gauge, "bytes", "Heap in use."},
	}}
}

func (s *processSource) Collect(sink *Sink) error {
	sink.Put("go_goroutines", float64(runtime.NumGoroutine()))
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	if heap[0].Value.Kind() == metrics.KindUint64 {
		sink.Put("go_memstats_heap_alloc_bytes", float64(heap[0].Value.Uint64()))
	}
	files, err := procfs.NewFS(s.host.proc())
	if err != nil {
		return err
	}
	self, err := files.Self()
	if err != nil {
		return err
	}
	stat, statErr := self.Stat()
	if statErr == nil {
		sink.Put("process_cpu_seconds_total", stat.CPUTime())
		sink.Put("process_resident_memory_bytes", float64(stat.ResidentMemory()))
		if start, err := stat.StartTime(); err == nil {
			sink.Put("process_start_time_seconds", start)
		}
	}
	fds, fdsErr := self.FileDescriptorsLen()
	if fdsErr == nil {
		sink.Put("process_open_fds", float64(fds))
	}
	return errors.Join(statErr, fdsErr)
}
