package apiserver

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// Config says where a server listens and what it passes requests on to. Its zero value lacks only Socket and Backend.
type Config struct {
	// Socket is the path of the unix socket. Empty means none, which is allowed only with TCP.
	Socket string
	// SocketMode is the socket's file mode; 0 means 0660. It is the only guard of the socket.
	SocketMode os.FileMode
	// SocketGroupID is the group that owns the socket; 0 keeps the daemon's.
	SocketGroupID int
	// TCP, when set, also listens on the network.
	TCP *TCP

	Backend Backend
	// Events is the stream behind /v1/events and ?watch. Nil makes one; see [Server.Events].
	Events *Events
	// Version is served at /v1/version.
	Version api.Version
	// MetricsHandler and HealthHandler serve /metrics and /healthz. Without them /metrics is not found and /healthz says
	// that the process answers.
	MetricsHandler, HealthHandler http.Handler

	// RequestTimeout bounds the work on a request; 0 means 90 s, which is more than compiling a module may take, so that whoever uploads
	// one hears what became of it. Its answer has 10 s more to be read. Streams are exempt.
	RequestTimeout time.Duration
	// BodyTimeout bounds the reading of a body; 0 means 30 s.
	BodyTimeout time.Duration
	// DrainTimeout bounds how long a stopping server waits for requests in flight; 0 means 5 s.
	DrainTimeout time.Duration
	// MaxInFlight bounds requests at work, streams not counted; 0 means 64.
	MaxInFlight int
	// MaxConnections bounds the connections of each listener; 0 means 256.
	MaxConnections int

	// Logger gets one line for each failure of the server's own; nil is silent.
	Logger *slog.Logger
}

// TCP is a network listener. Every field is required.
type TCP struct {
	// Address is host:port.
	Address string
	// CertFile and KeyFile are the server's certificate chain and key in PEM.
	CertFile, KeyFile string
	// TokenFile holds the tokens that are let in; package token describes it.
	TokenFile string
}

// MaxModuleBytes is the size of the largest module that can be uploaded.
const MaxModuleBytes = 4 << 20

// MaxBundleBytes leaves room for the metadata that a bundle has beside its module.
const MaxBundleBytes = MaxModuleBytes + 1<<20

// Validate reports everything that is wrong at once.
func (c *Config) Validate() error {
	var problems []error
	report := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Socket == "" && c.TCP == nil {
		report("neither a unix socket nor TCP is configured")
	}
	if c.Socket != "" && !filepath.IsAbs(c.Socket) {
		report("the socket %q is not an absolute path", c.Socket)
	}
	if len(c.Socket) > maxSocketPath {
		report("the socket path %q is longer than the %d bytes that the kernel allows", c.Socket, maxSocketPath)
	}
	if c.SocketMode&^0o777 != 0 || c.SocketMode&0o007 != 0 {
		report("the socket mode %#o lets everybody in; use 0660 and a group", uint32(c.SocketMode))
	}
	if c.TCP != nil {
		problems = append(problems, c.TCP.validate()...)
	}
	problems = append(problems, c.Backend.validate()...)
	return errors.Join(problems...)
}

// validate refuses a listener that would let requests in without encryption or without a token.
func (t *TCP) validate() (problems []error) {
	if _, _, err := net.SplitHostPort(t.Address); err != nil {
		problems = append(problems, fmt.Errorf("the TCP address %q is not host:port", t.Address))
	}
	if t.CertFile == "" || t.KeyFile == "" {
		problems = append(problems, errors.New("TCP needs a TLS certificate and its key; there is no TCP without TLS"))
	}
	if t.TokenFile == "" {
		problems = append(problems, errors.New("TCP needs a token file; there is no TCP without tokens"))
	}
	return problems
}

func (b *Backend) validate() (problems []error) {
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Policies", b.Policies == nil},
		{"Mechanisms", b.Mechanisms == nil},
		{"Decisions", b.Decisions == nil},
		{"Metrics", b.Metrics == nil},
		{"Mode", b.Mode == nil},
		{"Doctor", b.Doctor == nil},
		{"Audit", b.Audit == nil},
	} {
		if part.missing {
			problems = append(problems, fmt.Errorf("the part %s of Backend is missing", part.name))
		}
	}
	return problems
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	c.SocketMode = orDefault(c.SocketMode, 0o660)
	c.RequestTimeout = orDefault(c.RequestTimeout, 90*time.Second)
	c.BodyTimeout = orDefault(c.BodyTimeout, 30*time.Second)
	c.DrainTimeout = orDefault(c.DrainTimeout, 5*time.Second)
	c.MaxInFlight = orDefault(c.MaxInFlight, 64)
	c.MaxConnections = orDefault(c.MaxConnections, 256)
	if c.Backend.Rollouts == nil {
		c.Backend.Rollouts = noRollouts{}
	}
	if c.Backend.Trust == nil {
		c.Backend.Trust = noTrust{}
	}
	if c.Events == nil {
		c.Events = NewEvents(0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.HealthHandler == nil {
		c.HealthHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	}
	return c
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
