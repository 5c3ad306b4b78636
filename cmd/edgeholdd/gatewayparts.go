package main

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/gateway"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/lwm2m/server/bootstrap"
	"github.com/edgehold/edgehold/lwm2m/store"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// gatewayParts is what a gateway is put together of. Names of transports are kept with registrations, so they do not change.
type gatewayParts struct {
	config      gatewayConfig
	log         *slog.Logger
	models      *model.Registry
	keys        []ed25519.PublicKey
	credentials *gateway.Credentials
	store       *store.Store
	transports  []coap.Transport
	closers     map[string]coap.Closer
	listening   []string
	dtls        *dtls.Transport
	server      *server.Server
	bootstrap   *bootstrap.Server
	metrics     net.Listener
}

func openGateway(ctx context.Context, config gatewayConfig, log *slog.Logger) (p *gatewayParts, err error) {
	p = &gatewayParts{config: config, log: log, closers: map[string]coap.Closer{}}
	if p.models, err = config.models(); err != nil {
		return nil, err
	}
	if p.keys, err = packageKeys(config.Packages.Keys); err != nil {
		return nil, err
	}
	if p.credentials, err = gateway.OpenCredentials(config.LwM2M.Credentials, config.LwM2M.NoSec...); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(config.StateDirectory, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	opened, report, err := store.Open(config.StateDirectory, store.Options{Logger: log.With("part", "store")})
	if err != nil {
		return nil, err
	}
	p.store = opened
	log.Info("store opened", "records", report.Records, "bytes", report.Bytes, "torn", report.Torn, "damaged", len(report.Damaged))
	if len(report.Damaged) > 0 {
		log.Warn("the store has lost records; devices shake hands again, as their stored keys may be out of date", "damaged", len(report.Damaged))
		if err := forgetStates(ctx, p.store); err != nil {
			return nil, errors.Join(err, p.store.Close())
		}
	}
	if err := errors.Join(p.listen(ctx), p.listenMetrics()); err != nil {
		return nil, errors.Join(err, p.closeTransports(), p.store.Close())
	}
	p.server, err = server.New(server.Config{
		Transports: p.transports, Authorise: p.credentials.Authorise, Models: p.models, Store: p.store, FirstReads: gateway.FirstReads(),
		Limits: server.Limits{Devices: config.LwM2M.MaxDevices, Challenge: config.LwM2M.Challenge}, Logger: log.With("part", "lwm2m"),
	})
	if err == nil {
		err = p.openBootstrap()
	}
	if err != nil {
		return nil, errors.Join(err, p.closeTransports(), p.store.Close())
	}
	return p, nil
}

// left are the devices that the process before this one announced.
func (p *gatewayParts) left() (endpoints []string, err error) {
	err = p.store.Each(store.Settings, func(key, _ []byte) error {
		if endpoint, ok := gateway.Announced(key); ok {
			endpoints = append(endpoints, endpoint)
		}
		return nil
	})
	return endpoints, err
}

// models are those of the program and those of the folder.
func (c *gatewayConfig) models() (*model.Registry, error) {
	r := model.Core()
	if c.LwM2M.Models == "" {
		return r, nil
	}
	more, err := model.ParseFS(os.DirFS(c.LwM2M.Models))
	if err == nil {
		err = r.Add(more...)
	}
	if err != nil {
		return nil, fmt.Errorf("read object definitions in %s: %w", c.LwM2M.Models, err)
	}
	return r, nil
}

func packageKeys(files []string) ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the key of device packages: %w", err)
		}
		key, err := parcel.ParseKey(raw)
		if err != nil {
			return nil, fmt.Errorf("read the key of device packages %s: %w", file, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// add takes a transport over.
func (p *gatewayParts) add(t coap.Transport, addresses ...string) {
	p.transports = append(p.transports, t)
	if closer, ok := t.(coap.Closer); ok {
		p.closers[t.Name()] = closer
	}
	for _, a := range addresses {
		p.listening = append(p.listening, t.Name()+"://"+a)
	}
}

func (p *gatewayParts) addresses() string { return strings.Join(p.listening, " ") }

func (p *gatewayParts) closeTransports() error {
	var problems []error
	for _, t := range p.transports {
		if closer, ok := t.(interface{ Close() error }); ok {
			problems = append(problems, closer.Close())
		}
	}
	if p.metrics != nil {
		problems = append(problems, p.metrics.Close())
	}
	return errors.Join(problems...)
}

// listen opens the sockets for devices.
func (p *gatewayParts) listen(ctx context.Context) error {
	l := p.config.LwM2M
	if len(l.UDP) > 0 {
		udp, err := coap.ListenUDP(ctx, coap.UDPConfig{Addresses: l.UDP, Sockets: l.Sockets})
		if err != nil {
			return err
		}
		p.add(udp, texts(udp.Addresses())...)
	}
	if l.DTLS != none {
		secured, address, err := p.listenDTLS("dtls", l.DTLS, storedStates{p.store})
		if err != nil {
			return err
		}
		p.dtls = secured
		p.add(secured, address)
	}
	if len(l.TCP) > 0 {
		tcp, err := coap.ListenTCP(ctx, coap.TCPConfig{Addresses: l.TCP})
		if err != nil {
			return err
		}
		p.add(tcp, texts(tcp.Addresses())...)
	}
	if len(l.TLS) > 0 {
		return p.listenTLS(ctx)
	}
	return nil
}

func (p *gatewayParts) listenTLS(ctx context.Context) error {
	certificates, pool, err := p.config.LwM2M.x509()
	if err != nil {
		return err
	}
	t, err := coap.ListenTCP(ctx, coap.TCPConfig{
		Addresses: p.config.LwM2M.TLS,
		TLS:       &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert},
		Identity: func(s tls.ConnectionState) (string, error) {
			if len(s.PeerCertificates) == 0 {
				return "", errors.New("it shows no certificate")
			}
			return p.credentials.Principal(s.PeerCertificates[0])
		},
	})
	if err != nil {
		return err
	}
	p.add(t, texts(t.Addresses())...)
	return nil
}

func texts[T fmt.Stringer](all []T) (s []string) {
	for _, one := range all {
		s = append(s, one.String())
	}
	return s
}

// x509 reads the certificate that devices are shown and the authorities that vouch for theirs.
func (l *gatewayLwM2M) x509() ([]tls.Certificate, *x509.CertPool, error) {
	if l.Certificate == "" {
		return nil, nil, nil
	}
	pair, err := tls.LoadX509KeyPair(l.Certificate, l.Key)
	if err != nil {
		return nil, nil, fmt.Errorf("read lwm2m.certificate: %w", err)
	}
	pool, err := certificates(l.ClientCA)
	return []tls.Certificate{pair}, pool, err
}

func certificates(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificates: %s has none in PEM", file)
	}
	return pool, nil
}

func (p *gatewayParts) listenDTLS(name, address string, states dtls.States) (*dtls.Transport, string, error) {
	shown, pool, err := p.config.LwM2M.x509()
	if err != nil {
		return nil, "", err
	}
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, "", fmt.Errorf("listen for devices on %s: %w", address, err)
	}
	socket, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, "", fmt.Errorf("listen for devices: %w", err)
	}
	t, err := dtls.New(socket, dtls.Config{
		Name: name, PSK: p.credentials.PSK, Certificates: shown, ClientCAs: pool, Principal: p.credentials.Principal, States: states, Logger: p.log.With("part", name),
	})
	if err != nil {
		return nil, "", errors.Join(err, socket.Close())
	}
	return t, socket.LocalAddr().String(), nil
}

// storedStates keeps security associations in the store.
type storedStates struct{ store *store.Store }

// Save stores or removes states, and waits until that is durable.
func (s storedStates) Save(states []dtls.State) error {
	var mark store.Mark
	for _, one := range states {
		var key [8]byte
		binary.BigEndian.PutUint64(key[:], uint64(one.ID))
		var err error
		if one.Bytes == nil {
			mark, err = s.store.Delete(store.Session, string(key[:]))
		} else {
			mark, err = s.store.Put(store.Session, string(key[:]), one.Bytes)
		}
		if err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.store.Wait(ctx, mark)
}

// Load calls f with every state.
func (s storedStates) Load(f func(dtls.State) error) error {
	return s.store.Each(store.Session, func(key, value []byte) error {
		if len(key) != 8 {
			return nil // not ours
		}
		return f(dtls.State{ID: dtls.ID(binary.BigEndian.Uint64(key)), Bytes: value})
	})
}

// forgetStates removes all associations, and waits until that is durable. Of a store that has lost records nobody knows whether the state of
// an association that is left is its last one: with an older one a sequence number would protect a second record, and what that costs
// lwm2m/coap/dtls/RATIONALE.md says.
func forgetStates(ctx context.Context, s *store.Store) error {
	var keys []string
	err := s.Each(store.Session, func(key, _ []byte) error {
		keys = append(keys, string(key))
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget security associations: %w", err)
	}
	var last store.Mark
	for _, key := range keys {
		if last, err = s.Delete(store.Session, key); err != nil {
			return fmt.Errorf("forget security associations: %w", err)
		}
	}
	return s.Wait(ctx, last)
}

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

// gatewayBus is the broker, in this process or elsewhere.
type gatewayBus struct {
	mqtt.Bus
	broker    *mqtt.Broker
	authorise func(user string, r *mqtt.Request) error
	up        atomic.Pointer[gateway.Gateway] // told when the connection is there again
	close     func()
	address   string
}

func (b *gatewayBus) addresses() string {
	if b.broker == nil {
		return b.address
	}
	var all []string
	for _, a := range b.broker.Addresses() {
		all = append(all, a.Network()+"://"+a.String())
	}
	return strings.Join(all, " ")
}

func (p *gatewayParts) openBus(ctx context.Context) (*gatewayBus, error) {
	if p.config.MQTT.Broker.Address != "" {
		return p.dialBroker(ctx)
	}
	config, err := p.brokerConfig()
	if err != nil {
		return nil, err
	}
	broker, err := mqtt.NewBroker(config)
	if err != nil {
		return nil, err
	}
	b := &gatewayBus{Bus: broker.Bus("gateway"), broker: broker, close: func() {}}
	if len(config.Access) > 0 {
		b.authorise = broker.Authorise
	}
	return b, nil
}

// localUser is who connects over a unix socket: whoever its mode lets in.
const localUser = "local"

func (p *gatewayParts) brokerConfig() (mqtt.BrokerConfig, error) {
	m := p.config.MQTT
	config := mqtt.BrokerConfig{Logger: p.log.With("part", "broker")}
	secured, err := m.tls()
	if err != nil {
		return config, err
	}
	for _, address := range m.Listen {
		l := mqtt.Listener{Address: address}
		if socket, ok := strings.CutPrefix(address, "unix://"); ok {
			if len(m.Users) > 0 {
				l.User = localUser
			}
			if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
				return config, fmt.Errorf("make the folder of the socket: %w", err)
			}
		}
		if strings.HasPrefix(address, "mqtts://") {
			l.TLS = secured
		}
		config.Listeners = append(config.Listeners, l)
	}
	for _, u := range m.Users {
		config.Access = append(config.Access, mqtt.User{Name: u.Name, Password: u.Password, Things: u.Things, ReadOnly: u.ReadOnly})
	}
	if len(m.Users) > 0 {
		config.Access = append(config.Access, mqtt.User{Name: localUser})
	}
	return config, nil
}

func (m *gatewayMQTT) tls() (*tls.Config, error) {
	if m.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(m.Certificate, m.Key)
	if err != nil {
		return nil, fmt.Errorf("read mqtt.certificate: %w", err)
	}
	pool, err := certificates(m.ClientCA)
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientCAs: pool}
	if pool != nil {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return c, err
}

func (p *gatewayParts) dialBroker(ctx context.Context) (*gatewayBus, error) {
	m := p.config.MQTT.Broker
	b := &gatewayBus{address: m.Address}
	config := mqtt.DialConfig{
		Address: m.Address, User: m.User, Gateway: p.config.Name,
		Up: func(context.Context) {
			if g := b.up.Load(); g != nil {
				g.Reannounce()
			}
		},
		Down: func(err error) { p.log.Warn("the broker is away", "address", m.Address, "error", err) },
	}
	if m.PasswordFile != "" {
		password, err := os.ReadFile(m.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("read the broker's password: %w", err)
		}
		config.Password = strings.TrimRight(string(password), "\r\n")
	}
	secured, err := m.tls()
	if err != nil {
		return nil, err
	}
	config.TLS = secured
	connection, err := mqtt.Dial(ctx, config)
	if err != nil {
		return nil, err
	}
	b.Bus, b.close = connection, connection.Close
	return b, nil
}

func (m *gatewayBroker) tls() (*tls.Config, error) {
	pool, err := certificates(m.CA)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	if m.Certificate == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(m.Certificate, m.Key)
	if err != nil {
		return nil, fmt.Errorf("read mqtt.broker.certificate: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
