package sources

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/telemetry/attr"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// memorySource reads /proc/meminfo, every line of it, as the node exporter does.
type memorySource struct{ host Host }

func (*memorySource) Describe() Description {
	return Description{Name: "memory", Metrics: []Metric{
		{"node_memory_MemTotal_bytes", ring.Gauge, "bytes", "Memory that the kernel can use."},
		{"node_memory_MemAvailable_bytes", ring.Gauge, "bytes", "Memory that could be had without swapping."},
		{"node_memory_MemFree_bytes", ring.Gauge, "bytes", "Memory that nobody uses."},
		{attr.NodeMemoryUtilisation, ring.Gauge, "1", "Share of the memory that is not available, 0 to 1."},
		{"node_memory_*", ring.Gauge, "", "A line of /proc/meminfo."},
	}}
}

func (s *memorySource) Collect(sink *Sink) error {
	b, err := s.host.readProc("meminfo")
	if err != nil {
		return err
	}
	all := parseMeminfo(b)
	if len(all) == 0 {
		return fmt.Errorf("read /proc/meminfo: %w", errNothing)
	}
	for name, v := range all {
		sink.Put("node_memory_"+name, v)
	}
	total, available := all["MemTotal_bytes"], all["MemAvailable_bytes"]
	if total > 0 && available >= 0 && available <= total {
		sink.Put(attr.NodeMemoryUtilisation, 1-available/total)
	}
	return nil
}

var parentheses = strings.NewReplacer("(", "_", ")", "")

// maxMeminfoLines bounds the series that the file can make; kernels have about sixty lines.
const maxMeminfoLines = 128

// parseMeminfo reads lines like "MemTotal: 16384 kB" and "Active(anon): 12 kB" into
// MemTotal_bytes and Active_anon_bytes.
func parseMeminfo(b []byte) map[string]float64 {
	all := make(map[string]float64)
	for line := range bytes.Lines(b) {
		name, rest, found := bytes.Cut(line, []byte(":"))
		var v [1]float64
		if !found || !plainName(name) || fields(rest, v[:]) != 1 || len(all) == maxMeminfoLines {
			continue
		}
		key := parentheses.Replace(string(name))
		if bytes.HasSuffix(bytes.TrimSpace(rest), []byte("kB")) {
			key, v[0] = key+"_bytes", v[0]*1024
		}
		all[key] = v[0]
	}
	return all
}

func plainName(b []byte) bool {
	for _, c := range b {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '(' && c != ')' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 64
}
