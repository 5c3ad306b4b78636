// Package plug makes mechanisms of modules of kind adapter: what this node has for them, what of it one is granted, and how its driver
// is made, in the agent and, after the agent has died, in the guard. How a driver speaks with its module is package adapter's; which
// version serves is package node's.
package plug

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/adapter"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

// Config is what this node has for adapters.
type Config struct {
	Offers []capability.Offer
	Root   string                              // of the files that they reach
	Dir    string                              // of their stores, and of what the guard has to know
	Asset  string                              // what they are told they run on
	Host   host.Config                         // how guests are executed
	Module func(digest string) ([]byte, error) // a stored one

	Patience time.Duration // of the supervisor, with one call of a driver

	Logger *slog.Logger
	Now    func() time.Time
}

// Board is where adapters are plugged in.
type Board struct{ Config }

// New makes the adapters' folder, and clears what a crash left half written in it: no guard writes there any more.
func New(c Config) (*Board, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the adapters' folder: %w", err)
	}
	store.Sweep(c.Dir)
	return &Board{c}, nil
}

// Grants says of each capability whether it is asked for, allowed and offered. A nil allow allows all.
func (b *Board) Grants(m *wasmabi.Manifest, allow []string) []api.Grant {
	var out []api.Grant
	for i := range m.Capabilities {
		c := &m.Capabilities[i]
		shown := Summary(c)
		g := api.Grant{Capability: &shown, Reason: c.Reason, Asked: true, Allowed: allow == nil || slices.Contains(allow, c.Name)}
		err := capability.Judge(c, b.Offers)
		g.Offered = err == nil
		switch {
		case !g.Allowed:
			g.Reason = "the operator does not allow it"
		case err != nil:
			g.Reason = err.Error()
		}
		out = append(out, g)
	}
	return out
}

// Summary is a capability as people see it.
func Summary(c *wasmabi.CapabilityRequest) api.ManifestCapability {
	out := api.ManifestCapability{Name: c.Name, Kind: c.Kind, Hosts: c.Hosts, Methods: c.Methods, Paths: c.Paths, Write: c.Write, Bytes: c.Bytes, Reason: c.Reason}
	if out.Bytes == 0 {
		out.Bytes = wasmabi.DefaultCapabilityBytes
	}
	return out
}

// Open makes what was granted, for a version that begins to serve with init.
func (b *Board) Open(name string, p Prepared, init wasmabi.Init) *adapter.Module {
	init.Asset = b.Asset
	return open(p, init, b.Offers, b.Root, b.storePath(name), b.timeout())
}

func open(p Prepared, init wasmabi.Init, offers []capability.Offer, root, kv string, timeout time.Duration) *adapter.Module {
	return &adapter.Module{Host: granted(p, offers, root), Init: init, Grant: capability.Open(p.Manifest().Capabilities, capability.Config{
		Offers: offers, Root: root, Store: adapter.NewStore(kv), CoAP: coapClient{}, Limits: capability.Limits{Timeout: timeout},
	})}
}

// timeout of a request is less than the supervisor's patience with a driver, so that an adapter hears of a device that does not
// answer, and can say so.
func (b *Board) timeout() time.Duration { return b.Patience * 3 / 4 }

func (b *Board) path(name, ending string) string { return filepath.Join(b.Dir, name+ending) }

func (b *Board) storePath(name string) string { return b.path(name, ".kv.json") }

// Forget removes all that was kept of an adapter.
func (b *Board) Forget(name string) error {
	err := os.Remove(b.path(name, failureEnding))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(fallback.Folder(b.Dir, name)), b.ForgetGuard(name), adapter.NewStore(b.storePath(name)).Remove())
}
