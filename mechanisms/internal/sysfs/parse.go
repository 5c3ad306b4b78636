package sysfs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxCPU bounds CPU numbers; the kernel's own bound (NR_CPUS) is 8192.
const maxCPU = 65535

// ParseUint reads a decimal number as the kernel prints it.
func ParseUint(s string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", clip(s))
	}
	return n, nil
}

// ParseCPUs reads a CPU list in both of the kernel's forms, "0 1 2" and "0-2,5", and returns it sorted.
func ParseCPUs(s string) ([]int, error) {
	var out []int
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }) {
		lo, hi, err := cpuRange(f)
		if err != nil {
			return nil, err
		}
		if len(out)+hi-lo > maxCPU {
			return nil, fmt.Errorf("more than %d CPUs", maxCPU)
		}
		for n := lo; n <= hi; n++ {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func cpuRange(f string) (lo, hi int, err error) {
	from, to, ranged := strings.Cut(f, "-")
	if !ranged {
		to = from
	}
	lo, err = cpuNumber(from)
	if err != nil {
		return 0, 0, err
	}
	hi, err = cpuNumber(to)
	if err != nil {
		return 0, 0, err
	}
	if hi < lo {
		return 0, 0, fmt.Errorf("%q is no range of CPUs", clip(f))
	}
	return lo, hi, nil
}

func cpuNumber(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > maxCPU {
		return 0, fmt.Errorf("%q is no CPU number", clip(s))
	}
	return int(n), nil
}

// clip keeps messages about hostile input short.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
