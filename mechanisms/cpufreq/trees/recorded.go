package trees

import (
	"fmt"
	"maps"
	"strconv"
)

// machine is a tree with its CPU lists.
func machine(cpus int) files {
	list := "0"
	if cpus > 1 {
		list = "0-" + strconv.Itoa(cpus-1)
	}
	return files{"online": list, "present": list, "possible": list}
}

// add puts one policy's attributes into the tree.
func (t files) add(num int, attributes files) {
	for name, content := range attributes {
		t[fmt.Sprintf("cpufreq/policy%d/%s", num, name)] = content
	}
}

// with returns the attributes with others on top.
func (t files) with(more files) files {
	t = maps.Clone(t)
	maps.Copy(t, more)
	return t
}

// base are the attributes that every policy has; frequencies in kHz.
func base(driver, cpus, lo, hi, governor, governors string) files {
	return files{
		"scaling_driver": driver, "affected_cpus": cpus, "related_cpus": cpus,
		"cpuinfo_min_freq": lo, "cpuinfo_max_freq": hi, "cpuinfo_transition_latency": "10000",
		"scaling_min_freq": lo, "scaling_max_freq": hi, "scaling_cur_freq": lo,
		"scaling_governor": governor, "scaling_available_governors": governors,
		"scaling_setspeed": "<unsupported>",
	}
}

const manyGovernors = "conservative ondemand userspace powersave performance schedutil"

// acpi: two cores, each with its own clock and four P-states.
func acpi() files {
	t := machine(2)
	for n := range 2 {
		t.add(n, base("acpi-cpufreq", strconv.Itoa(n), "1200000", "3000000", "ondemand", manyGovernors).with(files{
			"scaling_available_frequencies": "3000000 2400000 1800000 1200000",
			"bios_limit":                    "3000000",
		}))
	}
	t["cpufreq/boost"] = "1"
	return t
}

const preferences = "default performance balance_performance balance_power power"

// intelActive: hardware P-states; the "powersave" governor is the hardware's own algorithm.
func intelActive() files {
	t := machine(4)
	for n := range 4 {
		t.add(n, base("intel_pstate", strconv.Itoa(n), "800000", "4700000", "powersave", "performance powersave").with(files{
			"energy_performance_preference":            "balance_performance",
			"energy_performance_available_preferences": preferences,
			"base_frequency":                           "2800000",
		}))
	}
	maps.Copy(t, intelGlobal("active"))
	return t
}

// intelPassive: the same machine as an ordinary driver, called intel_cpufreq.
func intelPassive() files {
	t := machine(4)
	for n := range 4 {
		t.add(n, base("intel_cpufreq", strconv.Itoa(n), "800000", "4700000", "schedutil", manyGovernors).with(files{
			"energy_performance_preference":            "balance_performance",
			"energy_performance_available_preferences": preferences,
			"base_frequency":                           "2800000",
		}))
	}
	maps.Copy(t, intelGlobal("passive"))
	return t
}

func intelGlobal(status string) files {
	return files{"intel_pstate/status": status, "intel_pstate/no_turbo": "0", "intel_pstate/max_perf_pct": "100",
		"intel_pstate/min_perf_pct": "17", "intel_pstate/num_pstates": "40", "intel_pstate/turbo_pct": "41"}
}

// amd is one tree of an AMD machine in one of the driver's modes.
func amd(driver, status, governor, governors string, more files) files {
	t := machine(4)
	for n := range 4 {
		t.add(n, base(driver, strconv.Itoa(n), "400000", "4200000", governor, governors).with(files{
			"amd_pstate_max_freq": "4200000", "amd_pstate_lowest_nonlinear_freq": "1100000", "amd_pstate_highest_perf": "166",
		}).with(more))
	}
	t["cpufreq/boost"] = "1"
	t["amd_pstate/status"] = status
	return t
}

func amdEPP() files {
	return amd("amd-pstate-epp", "active", "powersave", "performance powersave", files{
		"energy_performance_preference":            "balance_performance",
		"energy_performance_available_preferences": preferences,
	})
}

func amdPassive() files { return amd("amd-pstate", "passive", "schedutil", manyGovernors, nil) }

func amdGuided() files { return amd("amd-pstate", "guided", "schedutil", manyGovernors, nil) }

// zcu102: four Cortex-A53 on one clock; the odd frequencies are the board's own.
func zcu102() files {
	t := machine(4)
	t.add(0, base("cpufreq-dt", "0 1 2 3", "299999", "1199999", "userspace", manyGovernors).with(files{
		"scaling_available_frequencies": "299999 399999 599999 1199999",
		"scaling_setspeed":              "1199999",
		"scaling_cur_freq":              "1199999",
	}))
	return t
}

// raspberryPi: a Pi 4, where the firmware sets the clock of all four cores.
func raspberryPi() files {
	t := machine(4)
	t.add(0, base("cpufreq-dt", "0 1 2 3", "600000", "1800000", "ondemand", manyGovernors).with(files{
		"scaling_available_frequencies": "600000 700000 800000 900000 1000000 1100000 1200000 1300000 1400000 1500000 1600000 1700000 1800000",
	}))
	return t
}
