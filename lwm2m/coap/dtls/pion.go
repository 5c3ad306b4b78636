package dtls

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"

	pion "github.com/pion/dtls/v3"
	"github.com/pion/logging"
)

// conn is what we use of pion's connection.
type conn interface {
	HandshakeContext(context.Context) error
	ConnectionState() (pion.State, bool)
	Close() error
}

// server returns pion's side of a handshake that a peer began.
func (t *Transport) server(h *handshake) (conn, error) {
	options := []pion.ServerOption{
		pion.WithCipherSuites(suiteIDs(t.config.PSK != nil, len(t.config.Certificates) > 0)...),
		pion.WithConnectionIDGenerator(h.id.bytes),
		pion.WithSessionStore(t.sessions),
		pion.WithFlightInterval(t.config.Retransmit),
		pion.WithMTU(t.config.MTU),
		pion.WithLoggerFactory(quiet{}),
	}
	if t.config.PSK != nil {
		options = append(options, pion.WithPSK(h.key))
	}
	if len(t.config.Certificates) > 0 {
		options = append(options, pion.WithCertificates(t.config.Certificates...),
			pion.WithClientAuth(pion.RequireAndVerifyClientCert), pion.WithClientCAs(t.config.ClientCAs))
	}
	return pion.ServerWithOptions(h, udpAddr(h.remote), options...)
}

// strangerKey is what every identity has that nobody knows: its Finished fails as with a wrong key, and so tells nobody
// which identities exist.
var strangerKey = func() []byte {
	key := make([]byte, 16)
	rand.Read(key)
	return key
}()

// key answers pion's question for a key, and keeps who it is of.
func (h *handshake) key(identity []byte) ([]byte, error) {
	key, principal, err := h.transport.config.PSK(identity)
	if err != nil || len(key) == 0 || principal == "" || len(principal) > maxPrincipal {
		return strangerKey, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.identity, h.principal = bytes.Clone(identity), principal
	return key, nil
}

// Credentials are what a dialling side shows, and what it believes.
type Credentials struct {
	// Identity and Key are of a pre-shared key.
	Identity, Key []byte
	// Certificates, if no pre-shared key is used, are ours, and RootCAs vouch for the server's, which must name ServerName.
	Certificates []tls.Certificate
	RootCAs      *x509.CertPool
	ServerName   string
}

// client returns pion's side of a handshake that we begin.
func (t *Transport) client(h *handshake, c Credentials) (conn, error) {
	options := []pion.ClientOption{
		pion.WithCipherSuites(suiteIDs(c.Key != nil, c.Key == nil)...),
		pion.WithConnectionIDGenerator(pion.OnlySendCIDGenerator()),
		pion.WithSessionStore(t.sessions),
		pion.WithFlightInterval(t.config.Retransmit),
		pion.WithMTU(t.config.MTU),
		pion.WithLoggerFactory(quiet{}),
	}
	if c.Key != nil {
		options = append(options, pion.WithPSK(func([]byte) ([]byte, error) { return c.Key, nil }), pion.WithPSKIdentityHint(c.Identity))
	} else {
		options = append(options, pion.WithCertificates(c.Certificates...), pion.WithRootCAs(c.RootCAs), pion.WithServerName(c.ServerName))
	}
	return pion.ClientWithOptions(h, udpAddr(h.remote), options...)
}

// secrets are the fields that we need of pion's exported state, which is a gob of a struct with fields of these names.
type secrets struct {
	LocalRandom, RemoteRandom [randomSize]byte
	CipherSuiteID             uint16
	MasterSecret              []byte
	SequenceNumber            uint64
	LocalEpoch, RemoteEpoch   uint16
	PeerCertificates          [][]byte
	IdentityHint              []byte
	LocalConnectionID         []byte
	RemoteConnectionID        []byte
}

// establish makes an association of a handshake that is done and sealed.
func (t *Transport) establish(h *handshake, conn conn) (*association, error) {
	s, err := export(conn)
	if err != nil {
		return nil, err
	}
	suite, err := suiteOf(pion.CipherSuiteID(s.CipherSuiteID))
	if err != nil {
		return nil, err
	}
	a := &association{
		id: h.id, suite: suite, addr: h.remote, dialled: h.dialled, peerCID: s.RemoteConnectionID,
		ownCID: len(s.LocalConnectionID) > 0, sendLimit: unlimited, holdFrom: unlimited,
	}
	if h.dialled {
		a.out, a.in, err = suite.derive(s.MasterSecret, s.LocalRandom[:], s.RemoteRandom[:])
	} else {
		a.in, a.out, err = suite.derive(s.MasterSecret, s.RemoteRandom[:], s.LocalRandom[:])
	}
	if err != nil {
		return nil, err
	}
	if a.principal, a.expires, err = t.principal(h, s); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	a.next = max(s.SequenceNumber, h.next)
	if h.last && len(h.final) > 0 {
		a.final = &finalFlight{datagrams: h.final}
	}
	return a, nil
}

// export reads what pion has agreed on.
func export(conn conn) (*secrets, error) {
	state, ok := conn.ConnectionState()
	if !ok {
		return nil, errors.New("export a DTLS handshake: it has no state")
	}
	b, err := state.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("export a DTLS handshake: %w", err)
	}
	var s secrets
	if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("export a DTLS handshake: %w", err)
	}
	if s.LocalEpoch != epochProtected || s.RemoteEpoch != epochProtected {
		return nil, errors.New("export a DTLS handshake: it is not in its first protected epoch")
	}
	return &s, nil
}

// principal names the peer of a handshake, and says when its certificate expires, if it has one.
func (t *Transport) principal(h *handshake, s *secrets) (name string, expires int64, err error) {
	if len(s.PeerCertificates) > 0 {
		leaf, err := x509.ParseCertificate(s.PeerCertificates[0])
		if err != nil {
			return "", 0, fmt.Errorf("name the peer: %w", err)
		}
		name, err := t.config.Principal(leaf)
		if err == nil && (name == "" || len(name) > maxPrincipal) {
			err = fmt.Errorf("name the peer: its certificate's name has %d bytes", len(name))
		}
		return name, leaf.NotAfter.Unix(), err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.principal == "" || !h.dialled && !bytes.Equal(h.identity, s.IdentityHint) {
		return "", 0, errors.New("name the peer: it has proven no identity")
	}
	return h.principal, 0, nil
}

// quiet is where pion's own log goes: what matters comes back as errors.
type quiet struct{}

func (quiet) NewLogger(string) logging.LeveledLogger { return silence{} }

type silence struct{}

func (silence) Trace(string)          {}
func (silence) Tracef(string, ...any) {}
func (silence) Debug(string)          {}
func (silence) Debugf(string, ...any) {}
func (silence) Info(string)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Warn(string)           {}
func (silence) Warnf(string, ...any)  {}
func (silence) Error(string)          {}
func (silence) Errorf(string, ...any) {}

var _ net.PacketConn = (*handshake)(nil)
