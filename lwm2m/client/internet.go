package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
)

// Internet is the Network of UDP and TCP, plain and secured. Each server gets a socket of its own, so that whoever else sends to it is not heard.
type Internet struct {
	// Local is the address to send from, "host:port"; empty is a free port on all addresses.
	Local   string
	Traffic *Traffic // counts what goes over it; nil counts nothing
	// Reliability is that of CoAP; the zero value has the standard's.
	Reliability coap.Reliability
	// MaxBody bounds a body that is put together of blocks, 64 KiB if 0; what a Streamer takes has no bound here.
	MaxBody int
	Logger  *slog.Logger
}

// socketBuffer is little: one server talks to the device, one block at a time.
const socketBuffer = 32 << 10

// datagram is the longest that is taken: a block of 1,024 bytes with its options.
const datagram = 2 << 10

// limits are those of a device instead of a gateway's: RATIONALE.md counts the memory.
func (n *Internet) limits() coap.Limits {
	body := n.MaxBody
	if body == 0 {
		body = 64 << 10
	}
	return coap.Limits{
		Peers: 16, Workers: 2, Queue: 32, PeerQueue: 16, PeerWaiting: 16, History: 64, HistoryBytes: 16 << 10,
		Body: body, Assembly: 2 * body, AssemblyPeers: 4, Amplification: -1, PeerRate: -1, AddressRate: -1, Challenge: -1,
	}
}

// Connect implements Network.
func (n *Internet) Connect(ctx context.Context, a Account, t Target, h coap.Handler) (Endpoint, error) {
	transport, err := n.transport(ctx, a, t)
	if err != nil {
		return nil, err
	}
	w := &wire{radio: &radio{Transport: transport, traffic: n.Traffic}}
	w.radio.touch()
	w.endpoint, err = coap.New(coap.Config{
		Transports: []coap.Transport{w.radio}, Handler: h, Refused: refusedBy(h), Logger: n.Logger, Reliability: n.Reliability, Limits: n.limits(),
	})
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	w.running.Go(func() { w.ended = w.endpoint.Run(life) })
	dialer, dials := transport.(coap.Dialer)
	if !dials {
		return nil, w.abandon(fmt.Errorf("%s cannot reach out", transport.Name()))
	}
	if w.peer, err = dialer.Dial(ctx, t.Address); err != nil {
		return nil, w.abandon(err)
	}
	w.radio.peer.Store(&w.peer)
	return w, nil
}

func (n *Internet) transport(ctx context.Context, a Account, t Target) (coap.Transport, error) {
	switch t.Scheme {
	case "coap":
		return coap.ListenUDP(ctx, coap.UDPConfig{Addresses: n.addresses(), Buffer: socketBuffer, MaxMessage: datagram})
	case "coaps":
		return n.dtls(a, t)
	case "coap+tcp":
		return coap.ListenTCP(ctx, n.tcp(nil))
	case "coaps+tcp":
		return n.tls(ctx, a, t)
	default:
		return nil, fmt.Errorf("this build does not speak %s", t.Scheme)
	}
}

func (n *Internet) addresses() []string {
	if n.Local == "" {
		return nil
	}
	return []string{n.Local}
}

func (n *Internet) dtls(a Account, t Target) (coap.Transport, error) {
	credentials, err := credentialsOf(a, t)
	if err != nil {
		return nil, err
	}
	local, err := net.ResolveUDPAddr("udp", n.Local)
	if err != nil {
		return nil, fmt.Errorf("local address: %w", err)
	}
	socket, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, err
	}
	transport, err := dtls.New(socket, dtls.Config{
		Credentials: func(string) (dtls.Credentials, error) { return credentials, nil },
		Idle:        24 * time.Hour, MaxAssociations: 2, MaxHandshakes: 1, Logger: n.Logger,
	})
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	return transport, nil
}

// tcp bounds a connection: one, a message of at most a block and what goes with it.
func (n *Internet) tcp(secured *tls.Config) coap.TCPConfig {
	return coap.TCPConfig{TLS: secured, Connections: 1, MaxMessage: 4 << 10, Queue: 16}
}

// tls is for certificates only: Go's TLS has no pre-shared keys from outside.
func (n *Internet) tls(ctx context.Context, a Account, t Target) (coap.Transport, error) {
	if a.Mode != Certificate {
		return nil, fmt.Errorf("security mode %d over TLS is not supported", a.Mode)
	}
	c, err := certificateOf(a, t)
	if err != nil {
		return nil, err
	}
	return coap.ListenTCP(ctx, n.tcp(&tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: c.Certificates, RootCAs: c.RootCAs, ServerName: c.ServerName,
	}))
}

// credentialsOf makes those of DTLS from what the Security object holds.
func credentialsOf(a Account, t Target) (dtls.Credentials, error) {
	switch a.Mode {
	case PSK:
		return dtls.Credentials{Identity: []byte(a.Identity), Key: []byte(a.Key)}, nil
	case Certificate:
		return certificateOf(a, t)
	default:
		return dtls.Credentials{}, fmt.Errorf("security mode %d is not supported", a.Mode)
	}
}

func certificateOf(a Account, t Target) (dtls.Credentials, error) {
	key, err := x509.ParsePKCS8PrivateKey([]byte(a.Key))
	if err != nil {
		return dtls.Credentials{}, fmt.Errorf("private key of the device: %w", err)
	}
	trusted, err := x509.ParseCertificate([]byte(a.ServerKey))
	if err != nil {
		return dtls.Credentials{}, fmt.Errorf("certificate of the server: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(trusted)
	name := a.SNI
	if name == "" {
		name = t.Host
	}
	return dtls.Credentials{
		Certificates: []tls.Certificate{{Certificate: [][]byte{[]byte(a.Identity)}, PrivateKey: key}}, RootCAs: roots,
		ServerName: strings.TrimSuffix(name, "."),
	}, nil
}

// wire is an Endpoint over a CoAP endpoint with one peer.
type wire struct {
	endpoint *coap.Endpoint
	peer     coap.Peer
	radio    *radio
	stop     context.CancelFunc
	running  sync.WaitGroup
	ended    error
}

func (w *wire) Do(ctx context.Context, m *coap.Message) (*coap.Message, error) {
	return w.endpoint.Do(ctx, w.peer, m)
}

func (w *wire) Notify(ctx context.Context, m *coap.Message) error {
	return w.endpoint.Notify(ctx, w.peer, m)
}

func (w *wire) Listen(on bool)   { w.radio.off.Store(!on) }
func (w *wire) Heard() time.Time { return time.Unix(0, w.radio.heard.Load()) }

func (w *wire) Close() error {
	w.stop()
	w.running.Wait()
	return w.ended
}

func (w *wire) abandon(err error) error {
	_ = w.Close()
	return err
}

// refuser is a handler that wants to know which notifications are refused.
type refuser interface{ Refused(token coap.Token) }

func refusedBy(h coap.Handler) func(coap.Peer, coap.Token) {
	r, wants := h.(refuser)
	if !wants {
		return nil
	}
	return func(_ coap.Peer, token coap.Token) { r.Refused(token) }
}
