package node

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/agents/node/trust"
	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
)

// openDelivery opens the configured source, or nil.
func (n *Node) openDelivery() (trust.Delivery, error) {
	source := n.config.Trust.Source
	switch {
	case source == "":
		return nil, nil
	case n.config.Trust.FromRegistry():
		return n.registryDelivery(source)
	}
	return plainFolder{sign.Folder(source)}, nil
}

// plainFolder is a published tree on a disk.
type plainFolder struct{ sign.Folder }

// Module implements trust.Delivery.
func (f plainFolder) Module(ctx context.Context, a sign.Assignment) ([]byte, error) {
	return f.Folder.Module(ctx, a.Digest, a.Length)
}

// openTrust opens what this node believes.
func (n *Node) openTrust() (*trust.Judge, error) {
	c := &n.config.Trust
	pin, err := c.Pin()
	if err != nil {
		return nil, err
	}
	o := trust.Config{Pin: pin, Signed: c.Require == config.RequireSigned, Unsigned: c.Unsigned, IgnoreClock: c.Clock == config.ClockSigned}
	if c.Follow {
		o.Node = c.Node
	}
	return trust.Open(o, n.folder("trust"))
}

// openTrustView makes what asks the source and what shows it.
func (n *Node) openTrustView() error {
	n.Trust = trust.View{Judge: n.Policies.trust, Policies: n.Policies, Audit: n.Policies.audit}
	source, err := n.openDelivery()
	if err != nil || source == nil {
		return err
	}
	n.Trust.Follower = trust.NewFollower(n.Policies.trust, trust.FollowerConfig{
		Source: source, Name: n.config.Trust.Source, Installer: n.Policies,
		Interval: time.Duration(n.config.Trust.Interval), Now: time.Now, Logger: n.log.With("part", "trust"),
	})
	return nil
}

// fleet is a registry, or folders in its form, to which metadata and modules were pushed: the metadata under the reference
// itself, the modules below it, each policy by its name and tagged with its version.
type fleet struct {
	*registry.Source
	fetcher *fetcher
	at      registry.Reference
}

func (n *Node) registryDelivery(source string) (trust.Delivery, error) {
	at, err := registry.Parse(source)
	if err != nil {
		return nil, err
	}
	f := n.Policies.fetcher
	return fleet{f.client.Source(at), f, at}, nil
}

// Module implements trust.Delivery. What is here already serves as the base of a delta, and what a broken download has brought
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
