package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/server/bootstrap"
)

// TestWithBootstrapServer starts a device that knows a bootstrap server only, and ends with it registered over DTLS by the key it was given.
func TestWithBootstrapServer(t *testing.T) {
	for _, pack := range []bool{false, true} {
		name := "operations"
		if pack {
			name = "pack"
		}
		t.Run(name, func(t *testing.T) {
			transport, account := securedUDP(t)
			s, err := server.New(server.Config{Transports: []coap.Transport{transport}, CoAP: coap.Config{Reliability: quick}})
			if err != nil {
				t.Fatal(err)
			}
			run(t, s.Run)
			door, to := securedUDP(t)
			b, err := bootstrap.New(bootstrap.Config{
				Transports: []coap.Transport{door}, CoAP: coap.Config{Reliability: quick},
				Provision: func(context.Context, bootstrap.Claim) (bootstrap.Provision, error) {
					return bootstrap.Provision{Tree: bootstrap.Accounts(1, bootstrap.Account{
						URI: account.URI, Mode: bootstrap.PSK, Identity: []byte(account.Identity), Key: []byte(account.Key), Short: 9, Lifetime: time.Minute,
					})}, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			run(t, b.Run)
			to.Bootstrap = true
			p := &pair{t: t, server: s, events: s.Subscribe(16), radio: &machine.SimulatedRadio{}, dir: t.TempDir()}
			p.client, err = client.New(client.Config{
				Endpoint: "dev", Accounts: []client.Account{to}, Objects: p.objects(), Network: &client.Internet{Reliability: quick},
				Store: client.Folder(p.dir), Pack: pack,
			})
			if err != nil {
				t.Fatal(err)
			}
			run(t, p.client.Run)
			p.await(server.Registered, nil)
			got, err := s.Read(t.Context(), "dev", lwm2m.PathOf(1))
			p.must(err)
			if v, found := got.Value(path("/1/0/0")); !found || v.Integer() != 9 {
				t.Errorf("the server object: %s", got)
			}
		})
	}
}
