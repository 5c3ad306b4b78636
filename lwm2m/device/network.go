package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/device/route"
)

// network is the device's own CoAP endpoint, beside those to its servers: routes come in and go out by it, and packages that a server
// names by a URI are fetched by it, over DTLS with the key for that server where the URI says coaps.
type network struct {
	udp       *coap.UDP
	secure    *dtls.Transport
	endpoint  *coap.Endpoint
	publisher *route.Publisher
	router    *route.Router // nil until serve
}

// deviceLimits are those of a small machine.
var deviceLimits = coap.Limits{
	Peers: 16, Workers: 2, Queue: 32, PeerQueue: 8, PeerWaiting: 16, History: 64, HistoryBytes: 8 << 10, Body: 8 << 10, Assembly: 16 << 10, AssemblyPeers: 4,
}

func (d *Device) makeNetwork(ctx context.Context) (err error) {
	address := d.config.Listen
	if address == "" {
		address = ":0"
	}
	n := &network{publisher: &route.Publisher{ClientID: d.config.Endpoint, Brokers: d.config.Brokers}}
	if n.udp, err = coap.ListenUDP(ctx, coap.UDPConfig{Addresses: []string{address}, Buffer: 32 << 10, MaxMessage: 2 << 10}); err != nil {
		return err
	}
	d.network = n
	transports := []coap.Transport{n.udp}
	if slices.ContainsFunc(d.config.Accounts, func(a client.Account) bool { return a.Mode == client.PSK }) {
		socket, err := net.ListenUDP("udp", nil)
		if err != nil {
			return err
		}
		n.secure, err = dtls.New(socket, dtls.Config{
			Credentials: func(string) (dtls.Credentials, error) { return pskOf(d.client.Accounts()) },
			Idle:        time.Minute, MaxAssociations: 2, MaxHandshakes: 1, Logger: d.log,
		})
		if err != nil {
			return errors.Join(err, socket.Close())
		}
		transports = append(transports, n.secure)
	}
	n.endpoint, err = coap.New(coap.Config{Transports: transports, Handler: n, Logger: d.log, Limits: deviceLimits})
	return err
}

var errNoKey = errors.New("this device has no key for coaps")

// pskOf is the pre-shared key for a server: the one that was configured, or that bootstrap wrote.
func pskOf(accounts []client.Account) (dtls.Credentials, error) {
	for _, a := range accounts {
		if a.Mode == client.PSK && a.Key != "" {
			return dtls.Credentials{Identity: []byte(a.Identity), Key: []byte(a.Key)}, nil
		}
	}
	return dtls.Credentials{}, errNoKey
}

func (n *network) poster() route.Sender { return route.Poster{Endpoint: n.endpoint, Dialer: n.udp} }

// serve has requests from outside answered by a router.
func (n *network) serve(r *route.Router) { n.router = r }

// Serve implements coap.Handler.
func (n *network) Serve(ctx context.Context, p coap.Peer, request, response *coap.Message) {
	n.router.Serve(ctx, p, request, response)
}

func (n *network) addresses() (all []string) {
	for _, a := range n.udp.Addresses() {
		all = append(all, a.String())
	}
	return all
}

// Run serves until ctx ends.
func (n *network) Run(ctx context.Context) error {
	err := n.endpoint.Run(ctx)
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// Close ends connections to brokers, and gives up sockets that Run has not.
func (n *network) Close() error {
	n.publisher.Close()
	err := n.udp.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// Schemes are those that packages can be fetched by.
func (n *network) Schemes() []string {
	if n.secure == nil {
		return []string{"coap"}
	}
	return []string{"coap", "coaps"}
}

// Fetch gets a package block by block.
func (n *network) Fetch(ctx context.Context, uri string, offset int64, sink func(int64, []byte, bool) error) error {
	u, err := url.Parse(uri)
	if err != nil {
		return err
	}
	peer, err := n.dial(ctx, u)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	request := &coap.Message{Code: coap.GET}
	request.SetPath(u.Path)
	if u.RawQuery != "" {
		request.AddQuery(u.RawQuery)
	}
	var tag []byte
	for first := true; ; first = false {
		part, more, err := n.endpoint.Part(ctx, peer, request, offset)
		if err != nil {
			return fmt.Errorf("fetch %s: %w", uri, err)
		}
		if part.Code != coap.Content {
			return fmt.Errorf("fetch %s: it answers %s", uri, part.Code)
		}
		now, _ := part.Opaque(coap.ETag)
		if !first && !bytes.Equal(now, tag) {
			return fmt.Errorf("fetch %s: it has changed on the way", uri)
		}
		tag = append(tag[:0], now...)
		if err := sink(offset, part.Payload, !more); err != nil || !more {
			return err
		}
		offset += int64(len(part.Payload))
	}
}

func (n *network) dial(ctx context.Context, u *url.URL) (coap.Peer, error) {
	port := u.Port()
	if u.Scheme == "coaps" {
		if port == "" {
			port = "5684"
		}
		if n.secure == nil {
			return coap.Peer{}, errNoKey
		}
		return n.secure.Dial(ctx, net.JoinHostPort(u.Hostname(), port))
	}
	if port == "" {
		port = "5683"
	}
	return n.udp.Dial(ctx, net.JoinHostPort(u.Hostname(), port))
}
