package main

import (
	"errors"
	"time"

	"github.com/edgehold/edgehold/lwm2m/server"
)

// credentialsEvery is how often the file of credentials is looked at.
const credentialsEvery = 2 * time.Second

// credentialsChanged ends what no credential allows any more.
func (p *gatewayParts) credentialsChanged(revoked []string) {
	for _, endpoint := range revoked {
		p.revoke(endpoint)
	}
	p.judge()
}

// judge has those who are registered judged again, as if they registered now: a name may have got a credential, or be no longer among those that need none.
func (p *gatewayParts) judge() {
	for r := range p.server.Devices() {
		err := p.credentials.Authorise(server.Claim{Endpoint: r.Endpoint, Peer: r.Peer, Version: r.Version, Instances: r.Instances})
		if err == nil && r.Peer.Identity != "" && p.config.LwM2M.ClientCA == "" { // it has shown a key, for nobody could vouch for a certificate
			_, _, err = p.credentials.Key(r.Endpoint)
		}
		if err != nil {
			p.log.Warn("a device that may not be here any more is removed", "endpoint", r.Endpoint, "error", err)
			p.revoke(r.Endpoint)
		}
	}
}

// revoke ends what a credential that is gone has begun.
func (p *gatewayParts) revoke(endpoint string) {
	r, ok := p.server.Device(endpoint)
	if !ok {
		return
	}
	if closer, ok := p.closers[r.Peer.Transport]; ok {
		if err := closer.ClosePeer(r.Peer); err != nil {
			p.log.Warn("the association of a revoked credential could not be ended", "endpoint", endpoint, "error", err)
		}
	}
	if err := p.server.Remove(endpoint); err != nil && !errors.Is(err, server.ErrUnknownDevice) {
		p.log.Warn("the registration of a revoked credential could not be ended", "endpoint", endpoint, "error", err)
	}
}
