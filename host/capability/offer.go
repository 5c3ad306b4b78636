package capability

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/edgehold/edgehold/wasmabi"
)

// Offer is what a node offers to adapters, of one kind. Nothing is offered by default, and what is left empty is not
// offered, Bytes apart.
type Offer struct {
	Kind    string   // wasmabi.CapabilityHTTP, ...
	Hosts   []string // http, coap; see wasmabi.HostProblem
	Methods []string // http, coap
	Paths   []string // file; see wasmabi.PathProblem
	Write   bool     // file
	Bytes   uint64   // 0 is the most that a request can ask for
	// Address is where the hosts are, as address:port, instead of what the name service says. It may be a loopback address.
	Address string
}

// Validate reports everything that is wrong with the offer.
func (o Offer) Validate() error {
	var errs []error
	add := func(field, what, hint string) {
		if what != "" {
			errs = append(errs, fmt.Errorf("%s %s; %s", field, what, hint))
		}
	}
	net := o.Kind == wasmabi.CapabilityHTTP || o.Kind == wasmabi.CapabilityCoAP
	if !net && o.Kind != wasmabi.CapabilityFile && o.Kind != wasmabi.CapabilityKV {
		add("kind", fmt.Sprintf("is %q", o.Kind), "choose http, file, kv or coap")
	}
	for _, h := range o.Hosts {
		what, hint := wasmabi.HostProblem(h)
		add("hosts", what, hint)
	}
	for _, p := range o.Paths {
		what, hint := wasmabi.PathProblem(p, o.Write)
		add("paths", what, hint)
	}
	if net != (len(o.Hosts) > 0 && len(o.Methods) > 0) {
		add("hosts", "and methods belong to http and coap, which need both", "name them there, and there only")
	}
	if (o.Kind == wasmabi.CapabilityFile) != (len(o.Paths) > 0) {
		add("paths", "belong to file, which needs them", "name them there, and there only")
	}
	if o.Address != "" && !isAddress(o.Address) {
		add("address", fmt.Sprintf("is %q", o.Address), "write an address and a port, such as 192.0.2.7:80; a name is what hosts is for")
	}
	return errors.Join(errs...)
}

func isAddress(s string) bool {
	_, err := netip.ParseAddrPort(s)
	return err == nil
}

// Judge says why a request can't be granted from the offers; nil if it can.
func Judge(r *wasmabi.CapabilityRequest, offers []Offer) error {
	op := "offer " + r.Kind + " " + r.Name
	switch r.Kind {
	case wasmabi.CapabilityHTTP, wasmabi.CapabilityCoAP:
		for _, h := range r.Hosts {
			for _, m := range r.Methods {
				if !slices.ContainsFunc(offers, func(o Offer) bool { return o.reaches(r, m, func(p string) bool { return covers(p, h) }) }) {
					return denied(op, "this node does not offer %s %s of %d bytes", m, h, bytesOf(r))
				}
			}
		}
	case wasmabi.CapabilityFile:
		for _, p := range r.Paths {
			if !slices.ContainsFunc(offers, func(o Offer) bool { return o.opens(r, func(q string) bool { return coversPath(q, p) }) }) {
				return denied(op, "this node does not offer to %s %s of %d bytes", verb(r.Write), p, bytesOf(r))
			}
		}
	default:
		if !slices.ContainsFunc(offers, func(o Offer) bool { return o.Kind == r.Kind && o.has(r) }) {
			return denied(op, "this node does not offer %s of %d bytes", r.Kind, bytesOf(r))
		}
	}
	return nil
}

func verb(write bool) string {
	if write {
		return "write"
	}
	return "read"
}

func bytesOf(r *wasmabi.CapabilityRequest) uint64 {
	if r.Bytes == 0 {
		return wasmabi.DefaultCapabilityBytes
	}
	return r.Bytes
}

func (o Offer) has(r *wasmabi.CapabilityRequest) bool { return o.Bytes == 0 || bytesOf(r) <= o.Bytes }

// reaches reports whether the offer has a host that match accepts, for a method.
func (o Offer) reaches(r *wasmabi.CapabilityRequest, method string, match func(string) bool) bool {
	return o.Kind == r.Kind && o.has(r) && slices.Contains(o.Methods, method) && slices.ContainsFunc(o.Hosts, match)
}

// opens reports whether the offer has a path that match accepts.
func (o Offer) opens(r *wasmabi.CapabilityRequest, match func(string) bool) bool {
	return o.Kind == r.Kind && o.has(r) && (o.Write || !r.Write) && slices.ContainsFunc(o.Paths, match)
}

// covers reports whether each host that asked stands for is one of pattern's. asked may be a host or a pattern.
func covers(pattern, asked string) bool {
	if pattern == asked {
		return true
	}
	suffix, wild := strings.CutPrefix(pattern, "*")
	label, found := strings.CutSuffix(asked, suffix)
	return wild && found && label != "" && label != "*" && !strings.ContainsAny(label, ".:[]")
}

// coversPath reports whether each path that asked stands for is one of pattern's. In doubt it is not.
func coversPath(pattern, asked string) bool {
	ours, theirs := strings.Split(pattern, "/"), strings.Split(asked, "/")
	return slices.EqualFunc(ours, theirs, func(o, a string) bool {
		if o == a || o == "*" {
			return true
		}
		ok, err := path.Match(o, a)
		return ok && err == nil && !wasmabi.IsPattern(a)
	})
}

// matchPath is path.Match for a path without patterns.
func matchPath(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
