package dtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Socket is what a Transport needs of a UDP socket; *net.UDPConn is one.
type Socket interface {
	ReadFromUDPAddrPort(b []byte) (n int, addr netip.AddrPort, err error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	Close() error
}

// Config says how a Transport works. Without credentials it accepts nobody and can only dial.
type Config struct {
	// Name is the transport's; "dtls" if empty.
	Name string
	// PSK returns the key of an identity, which may be any bytes, and the principal that it stands for. An error means that
	// the identity is not known; the peer can't tell that from a wrong key. It is called by many goroutines. Nil: no
	// pre-shared keys.
	PSK func(identity []byte) (key []byte, principal string, err error)
	// Certificates are what we show to peers that want one. None: no X.509.
	Certificates []tls.Certificate
	// ClientCAs vouch for the peers' certificates, which are demanded whenever X.509 is used.
	ClientCAs *x509.CertPool
	// Principal names the peer that a verified certificate stands for; [CertificatePrincipal] if nil.
	Principal func(leaf *x509.Certificate) (string, error)

	// Credentials are what Dial shows to the server at an address. Nil: it can't dial.
	Credentials func(address string) (Credentials, error)

	// Idle is how long an association keeps its ciphers after the last record in or out, 30 s if 0.
	Idle time.Duration
	// States, if not nil, let associations outlive the process.
	States States

	// MaxAssociations bounds all associations, 200,000 if 0: for a new one beyond that the one that was quiet longest goes.
	MaxAssociations int
	// MaxPerPrincipal bounds the associations of one principal, 2 if 0. A new one replaces the oldest, and only when it is
	// established: nobody ends an association of a device without that device's key.
	MaxPerPrincipal int
	// MaxHandshakes bounds the handshakes under way, 1,024 if 0, and MaxPerSource those of one network, 32 if 0: an IPv4 /24 or
	// an IPv6 /56.
	MaxHandshakes, MaxPerSource int
	// HandshakeRate is how many handshakes may begin in a second, 1,000 if 0, before a peer has to prove first that it is where it
	// says. In such a flood a peer's first handshake fails, and its second goes through.
	HandshakeRate float64
	// HandshakeTimeout ends a handshake that takes longer, 30 s if 0.
	HandshakeTimeout time.Duration
	// Retransmit is the first interval after which a flight is repeated; it doubles. 1 s if 0 (RFC 6347 section 4.2.4.1).
	Retransmit time.Duration
	// MTU bounds the handshake's datagrams, 1,200 bytes if 0.
	MTU int

	// Logger is told what an operator should know; nobody if nil.
	Logger *slog.Logger

	now func() time.Time
}

// maxPrincipal bounds the name of a principal. An endpoint name has no bound of its own, but travels in a URI query.
const maxPrincipal = 255

// Validate reports everything that is wrong.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Certificates) > 0 && c.ClientCAs == nil {
		errs = append(errs, errors.New("configure DTLS: certificates without authorities that vouch for the peers'"))
	}
	for name, n := range map[string]int{
		"associations": c.MaxAssociations, "associations of a principal": c.MaxPerPrincipal, "handshakes": c.MaxHandshakes,
		"handshakes of a source": c.MaxPerSource, "bytes of a datagram": c.MTU,
	} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("configure DTLS: the bound of %s is negative", name))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	set := func(n *int, otherwise int) {
		if *n == 0 {
			*n = otherwise
		}
	}
	set(&c.MaxAssociations, 200_000)
	set(&c.MaxPerPrincipal, 2)
	set(&c.MaxHandshakes, 1024)
	set(&c.MaxPerSource, 32)
	set(&c.MTU, 1200)
	if c.HandshakeRate <= 0 {
		c.HandshakeRate = 1000
	}
	if c.Name == "" {
		c.Name = "dtls"
	}
	if c.Idle <= 0 {
		c.Idle = 30 * time.Second
	}
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = 30 * time.Second
	}
	if c.Retransmit <= 0 {
		c.Retransmit = time.Second
	}
	if c.Principal == nil {
		c.Principal = CertificatePrincipal
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// accepts reports whether there are credentials to accept a peer with.
func (c *Config) accepts() bool { return c.PSK != nil || len(c.Certificates) > 0 }

// CertificatePrincipal returns the first of a certificate's URI, DNS and e-mail names, or else its common name, as RFC 7925
// section 4.4.2 and LwM2M let devices carry their endpoint name.
func CertificatePrincipal(leaf *x509.Certificate) (string, error) {
	switch {
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String(), nil
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0], nil
	case len(leaf.EmailAddresses) > 0:
		return leaf.EmailAddresses[0], nil
	case leaf.Subject.CommonName != "":
		return leaf.Subject.CommonName, nil
	}
	return "", errors.New("name the holder of a certificate: it has neither an alternative nor a common name")
}
