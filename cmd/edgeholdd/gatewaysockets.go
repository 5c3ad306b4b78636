package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
)

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
