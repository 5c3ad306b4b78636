package dtls

import (
	"testing"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

func TestBothWays(t *testing.T) {
	for name := range testKeys {
		t.Run(name, func(t *testing.T) {
			server := start(t, Config{PSK: testPSK})
			device := start(t, Config{Credentials: as(name)})
			gateway := device.dial(server.addr)
			device.send(gateway, "up")
			peer := server.expect("up")
			if want := (coap.Peer{Transport: "dtls", Association: peer.Association, Identity: "ep-" + name}); peer != want || peer.Association == 0 {
				t.Errorf("peer %+v, want %+v", peer, want)
			}
			server.send(peer, "down")
			if from := device.expect("down"); from != gateway {
				t.Errorf("an answer from %+v, want %+v", from, gateway)
			}
		})
	}
}
