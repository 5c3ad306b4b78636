package plug

import (
	"context"

	"github.com/edgehold/edgehold/agents/node/adapter"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/extism/fallback"
	"github.com/edgehold/edgehold/wasmabi"
)

// Prepared is a version that can run: a module on our own runner, or an adapter on the fallback.
type Prepared interface {
	Manifest() *wasmabi.Manifest
	Digest() string
	Stats() host.Stats
	Close()
}

// Prepare prepares a module, of whatever kind, on the engine that its manifest names: our own runner, or for adapters that ask for it
// the Extism project's SDK, in a process of its own.
func (b *Board) Prepare(ctx context.Context, r *host.Runtime, raw []byte) (Prepared, error) {
	return prepare(ctx, r, raw, fallback.Config{Dir: b.Dir, Logger: b.Logger})
}

func prepare(ctx context.Context, r *host.Runtime, raw []byte, c fallback.Config) (Prepared, error) {
	if m, err := wasmabi.ReadManifest(raw); err == nil && m.Door == wasmabi.DoorExtismSDK {
		return fallbackOn(ctx, r, raw, c)
	}
	m, err := r.Prepare(ctx, raw)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func fallbackOn(ctx context.Context, r *host.Runtime, raw []byte, c fallback.Config) (Prepared, error) {
	p, err := fallback.Prepare(ctx, r, raw, c)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// granted returns what runs an adapter's operations, with what it was granted.
func granted(m Prepared, offers []capability.Offer, root string) adapter.Runner {
	switch m := m.(type) {
	case *fallback.Plugin:
		m.Grant(fallback.Grant{Capabilities: m.Manifest().Capabilities, Offers: offers, Root: root})
		return m
	case *host.Module:
		return m
	}
	return nil
}

// Native returns the module on our own runner; nil for an adapter on the fallback. Policies have no other.
func Native(m Prepared) *host.Module {
	native, _ := m.(*host.Module)
	return native
}

// Engine names what runs a version where that is not our own runner.
func Engine(m Prepared) string {
	if onFallback(m) {
		return engineFallback
	}
	return ""
}

const engineFallback = "go-sdk"

// Warning says what to know of a version that does not run on our own runner.
func Warning(m Prepared) string {
	if onFallback(m) {
		return fallback.Warning
	}
	return ""
}

func onFallback(m Prepared) bool {
	_, ok := m.(*fallback.Plugin)
	return ok
}

// Discard closes a version that was not kept. One of an adapter that is unknown here leaves nothing behind.
func Discard(m Prepared, known bool) error {
	m.Close()
	if f, ok := m.(*fallback.Plugin); ok && !known {
		return f.Forget()
	}
	return nil
}
