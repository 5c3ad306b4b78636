package sources

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/edgehold/edgehold/telemetry/attr"
	"github.com/edgehold/edgehold/telemetry/ring"
)

// cpuSource reads /proc/stat. See RATIONALE.md for why procfs does not.
type cpuSource struct {
	host     Host
	previous map[string]cpuTimes
}

// userHZ is the unit of /proc/stat: sysconf(_SC_CLK_TCK), 100 on every architecture of Linux that
// Go runs on.
const userHZ = 100

var cpuModes = [8]string{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"}

const (
	idle   = 3
	iowait = 4
)

// cpuTimes are seconds in each of cpuModes.
type cpuTimes [len(cpuModes)]float64

// utilisation is the busy share of the time since before; ok is false if no time has passed.
func (t cpuTimes) utilisation(before cpuTimes) (ratio float64, ok bool) {
	var busy, total float64
	for mode := range t {
		passed := max(0, t[mode]-before[mode]) // iowait can run backwards
		total += passed
		if mode != idle && mode != iowait {
			busy += passed
		}
	}
	if total <= 0 {
		return 0, false
	}
	return busy / total, true
}

// stat is what we take from /proc/stat.
type stat struct {
	cpus   map[string]cpuTimes // by number; "" is all together
	single map[string]float64  // lines of one number
}

// statSingles names the lines of one number.
var statSingles = map[string]Metric{
	"ctxt":          {"node_context_switches_total", ring.Counter, "", "Context switches."},
	"btime":         {"node_boot_time_seconds", ring.Gauge, "s", "When the machine was started, in unix time."},
	"processes":     {"node_forks_total", ring.Counter, "", "Processes and threads made."},
	"procs_running": {"node_procs_running", ring.Gauge, "", "Threads that run or want to."},
	"procs_blocked": {"node_procs_blocked", ring.Gauge, "", "Threads that wait for input or output."},
}

func (*cpuSource) Describe() Description {
	d := Description{Name: "cpu", Metrics: []Metric{
		{"node_cpu_seconds_total", ring.Counter, "s", "Time that each CPU spent in each mode."},
		{attr.NodeCPUUtilisation, ring.Gauge, "1", "Busy share of all CPUs since the sample before, 0 to 1."},
		{attr.NodeCPUUtilisationPerCPU, ring.Gauge, "1", "Busy share of each CPU since the sample before, 0 to 1."},
	}}
	for _, m := range statSingles {
		d.Metrics = append(d.Metrics, m)
	}
	return d
}

func (s *cpuSource) Collect(sink *Sink) error {
	b, err := s.host.readProc("stat")
	if err != nil {
		return err
	}
	now := parseStat(b)
	if len(now.cpus) == 0 {
		return fmt.Errorf("read /proc/stat: %w", errNothing)
	}
	for line, v := range now.single {
		sink.Put(statSingles[line].Name, v)
	}
	for cpu, times := range now.cpus {
		s.put(sink, cpu, times)
	}
	s.previous = now.cpus
	return nil
}

func (s *cpuSource) put(sink *Sink, cpu string, times cpuTimes) {
	label := ring.Label{Name: "cpu", Value: cpu}
	name := attr.NodeCPUUtilisation
	if cpu != "" {
		name = attr.NodeCPUUtilisationPerCPU
		for mode, seconds := range times {
			sink.Put("node_cpu_seconds_total", seconds, label, ring.Label{Name: "mode", Value: cpuModes[mode]})
		}
	}
	if before, known := s.previous[cpu]; known {
		if ratio, ok := times.utilisation(before); ok {
			sink.Put(name, ratio, label)
		}
	}
}

// parseStat reads the format of proc_stat(5). Lines that it does not know or understand are left
// out.
func parseStat(b []byte) stat {
	s := stat{cpus: make(map[string]cpuTimes), single: make(map[string]float64)}
	for line := range bytes.Lines(b) {
		word, rest, _ := bytes.Cut(line, []byte(" "))
		if number, isCPU := bytes.CutPrefix(word, []byte("cpu")); isCPU {
			if times, ok := parseCPUTimes(number, rest); ok {
				s.cpus[string(number)] = times
			}
			continue
		}
		if _, wanted := statSingles[string(word)]; wanted {
			var v [1]float64
			if fields(rest, v[:]) == 1 {
				s.single[string(word)] = v[0]
			}
		}
	}
	return s
}

func parseCPUTimes(number, rest []byte) (cpuTimes, bool) {
	if len(number) > 0 {
		if _, err := strconv.ParseUint(string(number), 10, 16); err != nil {
			return cpuTimes{}, false
		}
	}
	var times cpuTimes
	if fields(rest, times[:]) < iowait { // the oldest kernels have four
		return cpuTimes{}, false
	}
	for mode := range times {
		times[mode] /= userHZ
	}
	return times, true
}
