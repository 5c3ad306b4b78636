//go:build !wasm && !tinygo.wasm

package wasmabi

import (
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
)

// How far a capability may reach. The same rules hold for what a manifest asks for and for what a node offers. Both
// functions return what is wrong with a pattern and what to do, or two empty texts.

// HostProblem judges a host of a capability: an exact name or address, or "*." and at least two labels, and a port.
func HostProblem(pattern string) (what, hint string) {
	const form = "write a name and a port, such as plug.example.org:80 or *.example.org:443"
	host, port, ok := cutPort(pattern)
	switch {
	case len(pattern) > MaxName:
		return "is too long", form
	case !ok:
		return "is " + quote(pattern) + ", which names no port", form
	case !isPort(port):
		return "is " + quote(pattern) + ", whose port is not a number from 1 to 65535", form
	case host == "*" || strings.Contains(host, "*") && !strings.HasPrefix(host, "*."):
		return "is " + quote(pattern) + ", which reaches too far", "name the hosts; a * may only stand for the first label of at least three"
	}
	name, wild := strings.CutPrefix(host, "*.")
	if a, err := netip.ParseAddr(name); err == nil {
		if wild || a.Zone() != "" || a.Is4In6() || a.String() != name {
			return "is " + quote(pattern) + ", which is no plain address", "write the address in its usual form, without a zone or a *"
		}
		return "", ""
	}
	labels := strings.Split(name, ".")
	switch {
	case slices.ContainsFunc(labels, func(l string) bool { return !isHostLabel(l) }):
		return "is " + quote(pattern) + ", which is no host name", "use lower case letters, digits and dashes; names beyond ASCII in their xn-- form"
	case looksNumeric(labels[len(labels)-1]):
		return "is " + quote(pattern) + ", which could be read as an address", "write a name, or all four numbers of an address"
	case wild && len(labels) < 2:
		return "is " + quote(pattern) + ", which reaches too far", "leave at least two labels after the *"
	}
	return "", ""
}

func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	host, port = s[:i], s[i+1:]
	if inner, bracketed := strings.CutPrefix(host, "["); bracketed {
		inner, closed := strings.CutSuffix(inner, "]")
		return inner, port, closed && strings.Contains(inner, ":")
	}
	return host, port, host != "" && !strings.Contains(host, ":")
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

func isHostLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' &&
		only(s, func(b byte) bool { return isLower(b) || isDigit(b) || b == '-' || b == '_' })
}

// looksNumeric reports whether a resolver might take a name that ends so for an address: "127.1", "0x7f000001".
func looksNumeric(label string) bool {
	return only(label, isDigit) || strings.HasPrefix(label, "0x") && only(label[2:], func(b byte) bool { return isDigit(b) || b >= 'a' && b <= 'f' })
}

// PathProblem judges a path of a capability: absolute and clean; a pattern stays within its segment, has fixed
// segments before it, and does not stand for every file that can be written.
func PathProblem(pattern string, write bool) (what, hint string) {
	const form = "write an absolute path such as /sys/class/leds/*/brightness"
	if len(pattern) > MaxName || pattern == "/" || !path.IsAbs(pattern) || path.Clean(pattern) != pattern || !only(pattern, isPathByte) {
		return "is " + quote(pattern) + ", which is not an absolute, clean path", form + ", without .. and without a / at the end"
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return "is " + quote(pattern) + ", which is no pattern", form
	}
	segments := strings.Split(pattern[1:], "/")
	first := slices.IndexFunc(segments, IsPattern)
	switch {
	case first < 0:
		return "", ""
	case first < fixedSegments:
		return "is " + quote(pattern) + ", which reaches too far", "fix at least the first two folders, as in /run/plug/*.json"
	case slices.Contains(segments, "**"):
		return "is " + quote(pattern) + ", which reaches too far", "a * stands for one folder or file; write one for each level"
	case first < fixedBeforeAny && isAny(segments[first]):
		return "is " + quote(pattern) + ", which reaches too far", "fix three folders before a folder of any name, or give the name a part, as in lamp-*"
	case write && isAny(segments[len(segments)-1]):
		return "is " + quote(pattern) + ", which can write files of any name", "name the file, or a part of its name"
	}
	return "", ""
}

// How many segments are fixed before any pattern, and before one that any name matches.
const (
	fixedSegments  = 2
	fixedBeforeAny = 3
)

// IsPattern reports whether a segment of a path has a pattern in it, as path.Match reads it.
func IsPattern(segment string) bool { return strings.ContainsAny(segment, "*?[") }

// isAny reports whether a segment has nothing fixed: neither wildcards nor classes, such as [^.], leave a name.
func isAny(segment string) bool {
	for {
		before, rest, class := strings.Cut(segment, "[")
		if strings.Trim(before, "*?") != "" {
			return false
		}
		if !class {
			return true
		}
		_, segment, _ = strings.Cut(rest, "]")
	}
}

func isPathByte(b byte) bool { return b > ' ' && b < 0x7f && b != '\\' || b == ' ' }

// What an adapter may ask of a capability.
var (
	httpMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}
	coapMethods = []string{"GET", "POST", "PUT", "DELETE"}
)

func (c *checker) adapter(m *Manifest) {
	if m.Kind != KindAdapter {
		if m.Provides != (Provides{}) {
			c.add("provides", "kind", "belongs to adapters", "remove it, or set kind: adapter")
		}
		if len(m.Capabilities) > 0 {
			c.add("capabilities", "kind", "belongs to adapters", "a "+m.Kind+" reaches nothing by itself: remove them")
		}
		return
	}
	switch name := m.Provides.Mechanism; {
	case name == "":
		c.add("provides.mechanism", "missing", "is missing", "give the mechanism a name such as SmartPlug")
	case len(name) > 64 || !only(name, func(b byte) bool { return isLower(b) || isUpper(b) || isDigit(b) }) || !isUpper(name[0]):
		c.add("provides.mechanism", "mechanism-name", "is "+quote(name), "use at most 64 letters and digits, a capital first, as in SmartPlug")
	}
	c.short("provides.summary", m.Provides.Summary, MaxText)
	c.between("provides.every_ms", uint64(m.Provides.EveryMS), 1, maxIntervalMS)
	c.between("provides.burst", uint64(m.Provides.Burst), 1, 1000)
	if len(m.Mechanisms)+len(m.Metrics)+len(m.Wake) > 0 {
		c.add("mechanisms", "kind", "and metrics belong to policies", "an adapter decides nothing: remove them")
	}
	c.capabilities(m.Capabilities)
}

func (c *checker) capabilities(all []CapabilityRequest) {
	c.count("capabilities", len(all), MaxCapabilities)
	for i := range all {
		r, field := &all[i], at("capabilities", i)
		if !IsName(r.Name) {
			c.add(field+".name", "name", "is "+quote(r.Name), "give it a name such as device: lower case letters, digits and dashes")
		}
		if slices.ContainsFunc(all[:i], func(o CapabilityRequest) bool { return o.Name == r.Name }) {
			c.add(field+".name", "duplicate", "is "+quote(r.Name)+" a second time", "rename one of the two")
		}
		if r.Reason == "" {
			c.add(field+".reason", "missing", "is missing", "tell the person who grants it what it is for")
		}
		c.short(field+".reason", r.Reason, MaxText)
		c.between(field+".bytes", r.Bytes, 1, MaxBody-maxEnvelope)
		c.capability(field, r)
	}
}

// maxEnvelope is what a message around a body may take of a window.
const maxEnvelope = 8 << 10

func (c *checker) capability(field string, r *CapabilityRequest) {
	switch r.Kind {
	case CapabilityHTTP:
		c.hosts(field, r, httpMethods)
		c.foreign(field, r, false, true, true)
	case CapabilityCoAP:
		c.hosts(field, r, coapMethods)
		c.foreign(field, r, false, true, true)
	case CapabilityFile:
		c.paths(field, r)
		c.foreign(field, r, true, false, false)
	case CapabilityKV:
		c.foreign(field, r, true, true, true)
	case "exec":
		c.add(field+".kind", "exec", "is exec, which does not exist", "an adapter runs no programs; use http, file, kv or coap")
	default:
		c.oneOf(field+".kind", r.Kind, CapabilityHTTP, CapabilityFile, CapabilityKV, CapabilityCoAP)
	}
}

// foreign finds fields that another kind has.
func (c *checker) foreign(field string, r *CapabilityRequest, hosts, paths, write bool) {
	if hosts && len(r.Hosts)+len(r.Methods) > 0 {
		c.add(field+".hosts", "conflict", "and methods belong to http and coap", "remove them")
	}
	if paths && len(r.Paths) > 0 {
		c.add(field+".paths", "conflict", "belong to file", "remove them")
	}
	if write && r.Write {
		c.add(field+".write", "conflict", "belongs to file", "remove it")
	}
}

func (c *checker) hosts(field string, r *CapabilityRequest, methods []string) {
	if len(r.Hosts) == 0 {
		c.add(field+".hosts", "missing", "are missing", "name the hosts, with their ports")
	}
	c.count(field+".hosts", len(r.Hosts), MaxPatterns)
	for i, h := range r.Hosts {
		if what, hint := HostProblem(h); what != "" {
			c.add(at(field+".hosts", i), "host", what, hint)
		}
	}
	if len(r.Methods) == 0 {
		c.add(field+".methods", "missing", "are missing", "name the methods, for example GET and PUT")
	}
	c.count(field+".methods", len(r.Methods), MaxVerbs)
	for i, m := range r.Methods {
		c.oneOf(at(field+".methods", i), m, methods...)
	}
}

func (c *checker) paths(field string, r *CapabilityRequest) {
	if len(r.Paths) == 0 {
		c.add(field+".paths", "missing", "are missing", "name the files")
	}
	c.count(field+".paths", len(r.Paths), MaxPatterns)
	for i, p := range r.Paths {
		if what, hint := PathProblem(p, r.Write); what != "" {
			c.add(at(field+".paths", i), "path", what, hint)
		}
	}
}
