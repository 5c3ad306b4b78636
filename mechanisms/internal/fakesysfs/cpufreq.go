//go:build linux

package fakesysfs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const cpufreqDir = "sys/devices/system/cpu/cpufreq/"

// Policy returns the path of a cpufreq policy's attribute.
func Policy(n int, name string) string { return fmt.Sprintf("%spolicy%d/%s", cpufreqDir, n, name) }

// CPUFreq returns policies with the rules that were seen on the kernel's acpi-cpufreq: a minimum above the maximum is
// moved to it without an error, an unknown governor is EINVAL, setspeed needs the governor userspace, and every
// attribute of a policy without an online CPU is EBUSY. Besides, a value between two steps of the table goes to the
// lower one: the kernel does so only in part, firmware does worse, and a supervisor must cope with any of it.
func CPUFreq(policies int, tableKHz ...int) map[string]*Attr {
	attrs := map[string]*Attr{}
	for n := range policies {
		cpufreqPolicy(attrs, n, tableKHz)
	}
	return attrs
}

func cpufreqPolicy(attrs map[string]*Attr, n int, table []int) {
	lo, hi := strconv.Itoa(table[0]), strconv.Itoa(table[len(table)-1])
	busy := func(f *FS, v string) (string, syscall.Errno) {
		if f.Peek(Policy(n, "affected_cpus")) == "" {
			return "", syscall.EBUSY
		}
		return v, 0
	}
	add := func(name, value string, store func(f *FS, old, written string) (string, syscall.Errno)) {
		attrs[Policy(n, name)] = &Attr{Value: value, Load: busy, ReadOnly: store == nil, Store: func(f *FS, old, w string) (string, syscall.Errno) {
			if _, errno := busy(f, ""); errno != 0 {
				return "", errno
			}
			return store(f, old, w)
		}}
	}
	w := window{n: n, table: table}
	cpu := strconv.Itoa(n)
	add("affected_cpus", cpu, nil)
	add("related_cpus", cpu, nil)
	add("scaling_driver", "acpi-cpufreq", nil)
	add("cpuinfo_min_freq", lo, nil)
	add("cpuinfo_max_freq", hi, nil)
	add("scaling_cur_freq", lo, nil)
	add("scaling_available_frequencies", strings.Trim(fmt.Sprint(table), "[]"), nil)
	add("scaling_available_governors", "ondemand userspace powersave performance", nil)
	add("scaling_min_freq", lo, w.storeMin)
	add("scaling_max_freq", hi, w.storeMax)
	add("scaling_governor", "ondemand", w.storeGovernor)
	add("scaling_setspeed", "<unsupported>", w.storeSpeed)
}

// window holds a policy's rules.
type window struct {
	n     int
	table []int
}

// floor is the highest step at or below a frequency.
func (w window) floor(kHz int) int {
	at := w.table[0]
	for _, step := range w.table {
		if step <= kHz {
			at = step
		}
	}
	return at
}

func (w window) storeMin(f *FS, _, written string) (string, syscall.Errno) {
	kHz, err := strconv.Atoi(written)
	if err != nil {
		return "", syscall.EINVAL
	}
	hi, _ := strconv.Atoi(f.Peek(Policy(w.n, "scaling_max_freq")))
	return strconv.Itoa(min(w.floor(kHz), hi)), 0
}

func (w window) storeMax(f *FS, _, written string) (string, syscall.Errno) {
	kHz, err := strconv.Atoi(written)
	if err != nil {
		return "", syscall.EINVAL
	}
	to := w.floor(kHz)
	if lo, _ := strconv.Atoi(f.Peek(Policy(w.n, "scaling_min_freq"))); lo > to {
		f.Poke(Policy(w.n, "scaling_min_freq"), strconv.Itoa(to))
	}
	return strconv.Itoa(to), 0
}

func (w window) storeGovernor(f *FS, _, written string) (string, syscall.Errno) {
	known := strings.Fields(f.Peek(Policy(w.n, "scaling_available_governors")))
	if !slices.Contains(known, written) {
		return "", syscall.EINVAL
	}
	speed := "<unsupported>"
	if written == "userspace" {
		speed = f.Peek(Policy(w.n, "scaling_cur_freq"))
	}
	f.Poke(Policy(w.n, "scaling_setspeed"), speed)
	return written, 0
}

func (w window) storeSpeed(f *FS, _, written string) (string, syscall.Errno) {
	kHz, err := strconv.Atoi(written)
	if err != nil || f.Peek(Policy(w.n, "scaling_governor")) != "userspace" {
		return "", syscall.EINVAL
	}
	return strconv.Itoa(w.floor(kHz)), 0
}

// HWP adds to a policy what intel_pstate in active mode has: an energy preference that can't be changed while the
// governor is performance.
func HWP(attrs map[string]*Attr, n int) {
	attrs[Policy(n, "scaling_driver")].Value = "intel_pstate"
	attrs[Policy(n, "scaling_available_governors")].Value = "performance powersave"
	attrs[Policy(n, "scaling_governor")].Value = "powersave"
	attrs[Policy(n, "energy_performance_available_preferences")] = &Attr{Value: "default performance balance_performance balance_power power", ReadOnly: true}
	attrs[Policy(n, "energy_performance_preference")] = &Attr{Value: "balance_performance", Store: func(f *FS, _, written string) (string, syscall.Errno) {
		if f.Peek(Policy(n, "scaling_governor")) == "performance" && written != "performance" {
			return "", syscall.EBUSY
		}
		return written, 0
	}}
	delete(attrs, Policy(n, "scaling_setspeed"))
	delete(attrs, Policy(n, "scaling_available_frequencies"))
}
