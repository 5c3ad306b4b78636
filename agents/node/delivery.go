package node

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
)

// delivery is where metadata and modules come from. Nothing of it is believed.
type delivery interface {
	sign.Source
	// Module fetches what was assigned. It checks nothing that the caller does not.
	Module(ctx context.Context, a sign.Assignment) ([]byte, error)
}

// openDelivery opens the configured source, or nil.
func (n *Node) openDelivery() (delivery, error) {
	source := n.config.Trust.Source
	switch {
	case source == "":
		return nil, nil
	case isReference(source):
		return n.registryDelivery(source)
	}
	return plainFolder{sign.Folder(source)}, nil
}

// plainFolder is a published tree on a disk.
type plainFolder struct{ sign.Folder }

// Module implements delivery.
func (f plainFolder) Module(ctx context.Context, a sign.Assignment) ([]byte, error) {
	return f.Folder.Module(ctx, a.Digest, a.Length)
}

// openTrustView makes what asks the source and what shows it.
func (n *Node) openTrustView() error {
	n.Trust = trustView{trust: n.Policies.trust, policies: n.Policies}
	source, err := n.openDelivery()
	if err != nil || source == nil {
		return err
	}
	n.Trust.follower = &follower{
		client: n.Policies.trust.client, source: source, follows: n.config.Trust.Follow, policies: n.Policies,
		interval: time.Duration(n.config.Trust.Interval), now: time.Now, log: n.log.With("part", "trust"),
	}
	return nil
}

// fleet is a registry, or folders in its form, to which metadata and modules were pushed: the metadata under the reference
// itself, the modules below it, each policy by its name and tagged with its version.
type fleet struct {
	*registry.Source
	fetcher *fetcher
	at      registry.Reference
}

func (n *Node) registryDelivery(source string) (delivery, error) {
	at, err := registry.Parse(source)
	if err != nil {
		return nil, err
	}
	f := n.Policies.fetcher
	return fleet{f.client.Source(at), f, at}, nil
}

// Module implements delivery. What is here already serves as the base of a delta, and what a broken download has brought
// is gone on with.
func (f fleet) Module(ctx context.Context, a sign.Assignment) ([]byte, error) {
	modules := f.fetcher.db.Store()
	defer modules.Pin(a.Digest)()
	if raw, err := modules.Read(a.Digest); err == nil {
		return raw, nil
	}
	have, err := f.fetcher.bases(ctx, a.Name)
	if err != nil {
		return nil, err
	}
	if err := f.fetcher.makeRoom(ctx); err != nil {
		return nil, err
	}
	pulled, err := f.fetcher.client.Pull(ctx, f.reference(a), modules, have...)
	if err != nil {
		return nil, err
	}
	return modules.Read(pulled.Digest)
}

func (f fleet) reference(a sign.Assignment) registry.Reference {
	return f.at.Below(a.Name).WithTag(bundle.VersionTag(a.Version))
}
