package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
)

// Trust says whose modules may run here, and where the word of those comes from.
type Trust struct {
	// Require is "signed", or "unsigned" (default): then everything may run, and what is not signed is marked.
	Require string `json:"require,omitempty"`
	// Root is the path of the file that trust begins with: pin.json of `edgehold trust init`.
	Root string `json:"root,omitempty"`
	// Unsigned names policies that may run unsigned although Require is "signed".
	Unsigned []string `json:"unsigned,omitempty"`
	// Clock is "system" (default), or "signed" to go by signatures and uptime alone, where the machine's clock is no good.
	Clock string `json:"clock,omitempty"`
	// Source is where metadata is fetched: a folder that `edgehold trust` publishes, or the oci:// reference that it was pushed
	// to. Empty fetches none; bundles carry their own.
	Source string `json:"source,omitempty"`
	// Follow has this node install what the director at Source assigns to it.
	Follow bool `json:"follow,omitempty"`
	// Node is what the director calls this node; the agent's name by default.
	Node string `json:"node,omitempty"`
	// Interval is how often Source is asked.
	Interval Duration `json:"interval,omitempty"`
}

// Values of Trust.
const (
	RequireSigned   = "signed"
	RequireUnsigned = "unsigned"
	ClockSystem     = "system"
	ClockSigned     = "signed"
)

const defaultTrustInterval = time.Minute

func (t *Trust) setDefaults(name string) {
	t.Require = cmp.Or(t.Require, RequireUnsigned)
	t.Clock = cmp.Or(t.Clock, ClockSystem)
	t.Interval = cmp.Or(t.Interval, Duration(defaultTrustInterval))
	t.Node = cmp.Or(t.Node, name)
}

func (t *Trust) validate(p *problems) {
	p.oneOf("trust.require", t.Require, RequireSigned, RequireUnsigned)
	p.oneOf("trust.clock", t.Clock, ClockSystem, ClockSigned)
	p.between("trust.interval", t.Interval, time.Second, 24*time.Hour)
	p.require(t.Root != "" || t.Require != RequireSigned, "trust.root", "is needed with trust.require: signed", "name the pin.json that `edgehold trust init` wrote")
	p.require(t.Root != "" || t.Source == "", "trust.root", "is needed with trust.source", "name the pin.json that `edgehold trust init` wrote")
	p.require(t.Source != "" || !t.Follow, "trust.source", "is needed with trust.follow", "say where the director publishes: a folder, or oci://HOST/NAME")
	if t.FromRegistry() {
		_, err := registry.Parse(t.Source)
		p.require(err == nil, "trust.source", fmt.Sprintf("can't be used: %v", err), "write oci://HOST/NAME, or a plain folder")
	}
	if t.Follow {
		err := sign.CheckNode(t.Node)
		p.require(err == nil, "trust.node", fmt.Sprintf("can't be used: %v", err), "give the name that the director knows this node by")
	}
	if t.Root == "" {
		return
	}
	pin, err := t.readPin()
	p.require(err == nil, "trust.root", fmt.Sprintf("can't be used: %v", err), "name the pin.json that `edgehold trust init` wrote")
	p.require(err != nil || !t.Follow || len(pin.Director) > 0, "trust.root", "has no root for the director, which trust.follow needs", "name the pin.json that `edgehold trust init` wrote")
}

// Pin is what trust begins with; nothing without a root.
func (t *Trust) Pin() ([]byte, error) {
	if t.Root == "" {
		return nil, nil
	}
	raw, err := readBounded(t.Root)
	if err != nil {
		return nil, fmt.Errorf("read trust.root: %w", err)
	}
	return raw, nil
}

func (t *Trust) readPin() (sign.Pin, error) {
	raw, err := t.Pin()
	if err != nil {
		return sign.Pin{}, err
	}
	return sign.ParsePin(raw)
}

// FromRegistry reports whether the source is a place of the registry's, not a plain folder.
func (t *Trust) FromRegistry() bool {
	return strings.HasPrefix(t.Source, "oci://") || strings.HasPrefix(t.Source, "dir:")
}

// resolve makes the paths relative to the folder that the configuration lies in.
func (t *Trust) resolve(absolute func(string) string) {
	t.Root = absolute(t.Root)
	if !t.FromRegistry() {
		t.Source = absolute(t.Source)
	}
}
