package sources

import (
	"path/filepath"
	"strings"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// cpufreqSource reads /sys/devices/system/cpu/cpufreq: once for each policy, told for each CPU in it.
type cpufreqSource struct{ host Host }

// cpufreqFiles are in kHz (Documentation/admin-guide/pm/cpufreq.rst).
var cpufreqFiles = []struct{ file, metric, help string }{
	{"scaling_cur_freq", "node_cpu_scaling_frequency_hertz", "Frequency that the CPU runs at, as its driver tells."},
	{"scaling_min_freq", "node_cpu_scaling_frequency_min_hertz", "Lowest frequency that is allowed now."},
	{"scaling_max_freq", "node_cpu_scaling_frequency_max_hertz", "Highest frequency that is allowed now."},
	{"cpuinfo_cur_freq", "node_cpu_frequency_hertz", "Frequency that the hardware reports."},
	{"cpuinfo_min_freq", "node_cpu_frequency_min_hertz", "Lowest frequency of the hardware."},
	{"cpuinfo_max_freq", "node_cpu_frequency_max_hertz", "Highest frequency of the hardware."},
}

func (*cpufreqSource) Describe() Description {
	d := Description{Name: "cpufreq"}
	for _, f := range cpufreqFiles {
		d.Metrics = append(d.Metrics, Metric{f.metric, ring.Gauge, "Hz", f.help})
	}
	d.Metrics = append(d.Metrics, Metric{"node_cpu_scaling_governor", ring.Gauge, "1", "1 for the governor in force."})
	return d
}

func (s *cpufreqSource) Collect(sink *Sink) error {
	policies, err := glob(s.host.sys("devices/system/cpu/cpufreq"), "policy[0-9]*")
	if err != nil {
		return err
	}
	for _, policy := range policies {
		cpus, err := readText(filepath.Join(policy, "affected_cpus"))
		if err != nil {
			continue // all its CPUs are offline: reading says EBUSY
		}
		putPolicy(sink, policy, strings.Fields(cpus))
	}
	return nil
}

func putPolicy(sink *Sink, policy string, cpus []string) {
	for _, f := range cpufreqFiles {
		kHz, err := readNumber(filepath.Join(policy, f.file))
		if err != nil {
			continue
		}
		for _, cpu := range cpus {
			sink.Put(f.metric, kHz*1000, ring.Label{Name: "cpu", Value: cpu})
		}
	}
	governor, err := readText(filepath.Join(policy, "scaling_governor"))
	offered, _ := readText(filepath.Join(policy, "scaling_available_governors"))
	if err != nil {
		return
	}
	for _, name := range strings.Fields(offered) {
		for _, cpu := range cpus {
			sink.Put("node_cpu_scaling_governor", oneIf(name == governor), ring.Label{Name: "cpu", Value: cpu}, ring.Label{Name: "governor", Value: name})
		}
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
