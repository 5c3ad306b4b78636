package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/danielgtaylor/huma/v2"

	"github.com/edgehold/edgehold/agents/apiserver/token"
)

// Server is the HTTP interface of an agent.
type Server struct {
	config   Config
	log      *slog.Logger
	api      huma.API
	mux      *http.ServeMux
	limits   map[string]int64 // largest body for each route that has its own
	bodiless map[string]bool  // routes that take no body
	inFlight chan struct{}
	bodies   chan struct{} // of requests in flight, those with a body: slow ones leave room for the others
	tokens   *token.File
	failures failures
	audits   *rate.Limiter // bounds refusals that strangers can cause to be written

	listeners []net.Listener
}

// New checks the configuration and opens the listeners. Nothing answers before [Server.Run], which also closes them.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure the HTTP interface: %w", err)
	}
	s := build(c)
	if err := s.listen(); err != nil {
		s.closeListeners()
		return nil, err
	}
	return s, nil
}

// build makes a server without listeners.
func build(c Config) *Server {
	c = c.withDefaults()
	s := &Server{
		config:   c,
		log:      c.Logger,
		limits:   map[string]int64{},
		bodiless: map[string]bool{},
		inFlight: make(chan struct{}, c.MaxInFlight),
		bodies:   make(chan struct{}, (c.MaxInFlight+1)/2),
		audits:   rate.NewLimiter(10, 50),
	}
	s.route()
	return s
}

// Addrs returns the addresses that the server listens on, the socket's first.
func (s *Server) Addrs() []net.Addr {
	addrs := make([]net.Addr, len(s.listeners))
	for i, l := range s.listeners {
		addrs[i] = l.Addr()
	}
	return addrs
}

func (s *Server) listen() error {
	if s.config.Socket != "" {
		l, err := listenUnix(s.config.Socket, s.config.SocketMode, s.config.SocketGroupID, s.config.MaxConnections)
		if err != nil {
			return err
		}
		s.listeners = append(s.listeners, l)
	}
	if s.config.TCP == nil {
		return nil
	}
	tokens, err := token.Open(s.config.TCP.TokenFile)
	if err != nil {
		return &ListenError{"listen on " + s.config.TCP.Address, "api.bad-token-file", err.Error(),
			"make a token with edgehold token create", err}
	}
	s.tokens = tokens
	l, err := listenTCP(s.config.TCP, s.config.MaxConnections)
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, l)
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// Run serves until the context ends, then stops as the package comment says. It returns nil after an orderly stop.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.handler(),
		ConnContext:       withPeer,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	group, serving := errgroup.WithContext(ctx)
	for _, l := range s.listeners {
		group.Go(func() error {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-serving.Done()
		s.config.Events.Close()
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.DrainTimeout)
		defer cancel()
		err := server.Shutdown(drain)
		s.closeListeners()
		if err != nil {
			s.log.Warn("requests in flight were cut off", "after", s.config.DrainTimeout)
			server.Close()
		}
		return nil
	})
	return group.Wait()
}
