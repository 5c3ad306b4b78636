//go:build !wasm && !tinygo.wasm

package wasmabi

import (
	"slices"
	"strconv"
	"strings"
)

// minTickMS keeps a workload from taking all of a small processor by ticks alone.
const minTickMS = 10

func (c *checker) workload(m *Manifest) {
	w := &m.Workload
	if m.Kind != KindWorkload {
		if !w.empty() {
			c.add("workload", "kind", "(inputs, outputs, properties, knobs, tick) belongs to workloads", "remove them, or set kind: workload")
		}
		return
	}
	if m.Door != DoorNative {
		c.add("door", "kind", "is "+quote(m.Door)+", and a device has no such door", "build the workload with the SDK, and leave the door out")
	}
	if len(m.Mechanisms)+len(m.Metrics)+len(m.Wake) > 0 {
		c.add("mechanisms", "kind", "and metrics belong to policies", "a workload names properties and knobs: remove them")
	}
	if len(w.Inputs) == 0 && w.TickMS == 0 {
		c.add("workload.inputs", "missing", "is empty, and there is no tick: it would never run", "name an input, or give a tick such as 1s")
	}
	if w.TickMS != 0 && (w.TickMS < minTickMS || w.TickMS > maxIntervalMS) {
		c.add("workload.tick_ms", "range", "is "+decimal(uint64(w.TickMS))+" ms", "give 10ms to 24h")
	}
	c.ports("workload.inputs", w.Inputs)
	c.ports("workload.outputs", w.Outputs)
	c.properties("workload.properties", w.Properties)
	c.knobRequests("workload.knobs", w.Knobs)
}

func (c *checker) ports(field string, all []Port) {
	c.count(field, len(all), MaxPorts)
	for i := range all {
		p := &all[i]
		c.key(at(field, i), p.Name, slices.ContainsFunc(all[:i], func(o Port) bool { return o.Name == p.Name }))
		c.typed(at(field, i), p.Type, p.Unit)
	}
}

// key checks a name that becomes part of a route, such as local://1/temp_avg.
func (c *checker) key(field, name string, twice bool) {
	if name == "" || len(name) > 64 || !only(name, func(b byte) bool { return isLower(b) || isUpper(b) || isDigit(b) || b == '_' || b == '-' }) {
		c.add(field+".name", "key", "is "+quote(name), "use at most 64 letters, digits, _ and -, as in temp_avg")
	}
	if twice {
		c.add(field+".name", "duplicate", "is "+quote(name)+" a second time", "rename one of the two")
	}
}

func (c *checker) typed(field, kind, unit string) {
	if kind != "" {
		c.oneOf(field+".type", kind, TypeNumber, TypeBytes)
	}
	c.short(field+".unit", unit, 64)
}

func (c *checker) properties(field string, all []PropertyRequest) {
	c.count(field, len(all), MaxPorts)
	for i := range all {
		p := &all[i]
		c.key(at(field, i), p.Name, slices.ContainsFunc(all[:i], func(o PropertyRequest) bool { return o.Name == p.Name }))
		c.typed(at(field, i), p.Type, p.Unit)
		c.reason(at(field, i), p.Reason)
		if !isResourcePath(p.Path) {
			c.add(at(field, i)+".path", "path", "is "+quote(p.Path), "give object, instance and resource, as in /3303/0/5700")
		}
	}
}

func (c *checker) knobRequests(field string, all []KnobRequest) {
	c.count(field, len(all), MaxPorts)
	for i := range all {
		k := &all[i]
		c.key(at(field, i), k.Name, slices.ContainsFunc(all[:i], func(o KnobRequest) bool { return o.Name == k.Name }))
		c.reason(at(field, i), k.Reason)
	}
}

func (c *checker) reason(field, reason string) {
	if reason == "" {
		c.add(field+".reason", "missing", "is missing", "tell the person who grants it what it is for")
	}
	c.short(field+".reason", reason, MaxText)
}

// isResourcePath reports whether s is an LwM2M resource, or one instance of it: three or four numbers below 65535.
func isResourcePath(s string) bool {
	levels := strings.Split(strings.TrimPrefix(s, "/"), "/")
	if !strings.HasPrefix(s, "/") || len(levels) < 3 || len(levels) > 4 {
		return false
	}
	return !slices.ContainsFunc(levels, func(l string) bool {
		n, err := strconv.ParseUint(l, 10, 16)
		return err != nil || n == 65535 || strconv.FormatUint(n, 10) != l
	})
}
