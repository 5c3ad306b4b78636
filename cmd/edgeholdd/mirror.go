package main

import (
	"net"

	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/node/config"
)

// mirrorConnections bounds those of the mirror, which asks nobody who they are.
const mirrorConnections = 64

// listenMirror listens for those who pull from this node; nil without a mirror.
func listenMirror(m config.Mirror) (net.Listener, error) {
	switch {
	case m.Listen == "":
		return nil, nil
	case m.Plain:
		return apiserver.ListenPlain(m.Listen, mirrorConnections)
	}
	return apiserver.ListenTLS(m.Listen, m.TLS.Certificate, m.TLS.Key, mirrorConnections)
}
