package node

import (
	"context"
	"log/slog"

	"github.com/edgehold/edgehold/agents/node/adapter"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/wasmabi"
)

// prepareOn prepares a module on the engine that its manifest names: our own runner, or for adapters that ask for it the Extism
// project's SDK, in a process of its own.
func prepareOn(ctx context.Context, r *host.Runtime, raw []byte, c fallback.Config) (prepared, error) {
	if m, err := wasmabi.ReadManifest(raw); err == nil && m.Door == wasmabi.DoorExtismSDK {
		return fallbackOn(ctx, r, raw, c)
	}
	m, err := r.Prepare(ctx, raw)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func fallbackOn(ctx context.Context, r *host.Runtime, raw []byte, c fallback.Config) (prepared, error) {
	p, err := fallback.Prepare(ctx, r, raw, c)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (a *adapters) fallback(log *slog.Logger) fallback.Config {
	return fallback.Config{Dir: a.dir, Logger: log, Program: a.helper}
}

// runner returns what runs an adapter's operations, with what it was granted.
func (a *adapters) runner(r *running) adapter.Runner { return granted(r.module, a.offers, a.root) }

func granted(m prepared, offers []capability.Offer, root string) adapter.Runner {
	switch m := m.(type) {
	case *fallback.Plugin:
		m.Grant(fallback.Grant{Capabilities: m.Manifest().Capabilities, Offers: offers, Root: root})
		return m
	case *host.Module:
		return m
	}
	return nil
}

// native returns the module on our own runner; nil for an adapter on the fallback. Policies have no other.
func (r *running) native() *host.Module {
	m, _ := r.module.(*host.Module)
	return m
}

// engineOf names what runs a version where that is not our own runner.
func engineOf(m prepared) string {
	if onFallback(m) {
		return engineFallback
	}
	return ""
}

const engineFallback = "go-sdk"

func warningOf(m prepared) string {
	if onFallback(m) {
		return fallback.Warning
	}
	return ""
}

func onFallback(m prepared) bool {
	_, ok := m.(*fallback.Plugin)
	return ok
}

// giveUp closes a version that was not kept. One of an adapter that is not here leaves nothing behind.
func (p *policies) giveUp(m prepared) {
	m.Close()
	if f, ok := m.(*fallback.Plugin); ok && p.find(m.Manifest().Name) == nil {
		if err := f.Forget(); err != nil {
			p.log.Warn("what an adapter left behind is still there", "adapter", m.Manifest().Name, "error", err)
		}
	}
}
