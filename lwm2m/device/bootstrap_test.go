package device

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/server/bootstrap"
)

// door is a DTLS transport that knows one device by one key.
func door(t *testing.T, key string) (transport *dtls.Transport, uri string) {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := dtls.New(socket, dtls.Config{PSK: func(identity []byte) ([]byte, string, error) {
		if string(identity) != "sensor-1" {
			return nil, "", errors.New("unknown")
		}
		return []byte(key), "sensor-1", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d, "coaps://" + socket.LocalAddr().String()
}

// running runs a part of the world until the test ends.
func running(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// A device that knows nobody but a bootstrap server is sent to its server, with a key of its own for it; with that key, which no
// configuration has, it also fetches what the server names by a coaps URI.
func TestBootstrapAndPackageByCoaps(t *testing.T) {
	p := averagePackage(t)
	first, own := strings.Repeat("b", 16), strings.Repeat("s", 16)
	entrance, uri := door(t, own)
	s, err := server.New(server.Config{Transports: []coap.Transport{entrance}, Authorise: server.Bound(), Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	running(t, s.Run)
	f := &field{Server: s, t: t}

	reception, bootstrapURI := door(t, first)
	b, err := bootstrap.New(bootstrap.Config{Transports: []coap.Transport{reception}, Provision: func(_ context.Context, claim bootstrap.Claim) (bootstrap.Provision, error) {
		return bootstrap.Provision{Tree: bootstrap.Accounts(1, bootstrap.Account{
			URI: uri, Mode: bootstrap.PSK, Identity: []byte("sensor-1"), Key: []byte(own), Short: 9, Lifetime: time.Hour,
		})}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	running(t, b.Run)

	depot, packages := door(t, own)
	depotAt(t, depot, p)
	c := f.config("sensor-1", t.TempDir())
	c.Accounts = []client.Account{{URI: bootstrapURI, Bootstrap: true, Mode: client.PSK, Identity: "sensor-1", Key: first}}
	f.running(c)
	if _, err := f.Create(t.Context(), "sensor-1", lwm2m.MustParsePath("/9/4"), nil); err != nil {
		t.Fatal(err)
	}
	f.write("sensor-1", "/9/4/3", lwm2m.String(packages+"/packages/average"))
	f.until("it is delivered", func() bool { return f.read("sensor-1", "/9/4/7").Integer() == 3 })
	f.execute("sensor-1", "/9/4/4")
	f.execute("sensor-1", "/9/4/10")
}
