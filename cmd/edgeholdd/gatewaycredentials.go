package main

import (
	"errors"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
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

// judge has those who are here judged again, as if they came now: a name may have got a credential, or be no longer among those that need none; and an
// association may be that of a key which was taken out while no gateway ran.
func (p *gatewayParts) judge() {
	if p.dtls != nil {
		for _, peer := range p.dtls.Review(p.vouched) {
			if r, ok := p.server.Device(peer.Identity); ok && r.Peer == peer {
				p.log.Warn("a device whose credential is gone is removed", "endpoint", r.Endpoint)
				p.remove(r.Endpoint)
			}
		}
	}
	for r := range p.server.Devices() {
		err := p.credentials.Authorise(server.Claim{Endpoint: r.Endpoint, Peer: r.Peer, Version: r.Version, Instances: r.Instances})
		if err == nil && r.Peer.Identity != "" && p.config.LwM2M.ClientCA == "" { // it has shown a key, even if its association is lost
			_, _, err = p.credentials.Key(r.Endpoint)
		}
		if err != nil {
			p.log.Warn("a device that may not be here any more is removed", "endpoint", r.Endpoint, "error", err)
			p.revoke(r.Endpoint)
		}
	}
}

// vouched says whether there still is a credential of the kind that an association was made with.
func (p *gatewayParts) vouched(peer coap.Peer, keyed bool) bool {
	if !keyed {
		return p.config.LwM2M.ClientCA != ""
	}
	_, _, err := p.credentials.Key(peer.Identity)
	return err == nil
}

// revoke ends what a credential that is gone has begun, registered or not.
func (p *gatewayParts) revoke(endpoint string) {
	if p.dtls != nil {
		p.dtls.Revoke(endpoint)
	}
	r, ok := p.server.Device(endpoint)
	if !ok {
		return
	}
	if closer, ok := p.closers[r.Peer.Transport]; ok {
		if err := closer.ClosePeer(r.Peer); err != nil {
			p.log.Warn("the association of a revoked credential could not be ended", "endpoint", endpoint, "error", err)
		}
	}
	p.remove(endpoint)
}

func (p *gatewayParts) remove(endpoint string) {
	if err := p.server.Remove(endpoint); err != nil && !errors.Is(err, server.ErrUnknownDevice) {
		p.log.Warn("the registration of a revoked credential could not be ended", "endpoint", endpoint, "error", err)
	}
}
