package main

import (
	"context"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server/bootstrap"
)

// openBootstrap makes the bootstrap server, if there is one: whoever has a key here is told to register with it there.
func (p *gatewayParts) openBootstrap() error {
	b := p.config.Bootstrap
	if b.DTLS == "" {
		return nil
	}
	t, address, err := p.listenDTLS("bootstrap", b.DTLS, nil)
	if err != nil {
		return err
	}
	p.listening = append(p.listening, "bootstrap://"+address)
	p.bootstrap, err = bootstrap.New(bootstrap.Config{
		Transports: []coap.Transport{t}, Models: p.models, Logger: p.log.With("part", "bootstrap"),
		Provision: func(_ context.Context, c bootstrap.Claim) (bootstrap.Provision, error) {
			identity, key, err := p.credentials.Key(c.Peer.Identity)
			if err != nil {
				return bootstrap.Provision{}, err
			}
			return bootstrap.Provision{Tree: bootstrap.Accounts(1, bootstrap.Account{
				URI: b.Server, Short: 1, Mode: bootstrap.PSK, Identity: identity, Key: key, Lifetime: time.Duration(b.Lifetime),
			})}, nil
		},
	})
	return err
}
