package apiserver

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/edgehold/edgehold/agents/api"
)

type contextKey int

const (
	peerKey contextKey = iota
	requestKey
)

// withPeer notes who is at the other end of a unix connection, as the kernel says (SO_PEERCRED, unix(7)). Other connections
// carry nothing and have to present a token.
func withPeer(ctx context.Context, conn net.Conn) context.Context {
	if _, isTLS := conn.(*tls.Conn); isTLS {
		return ctx
	}
	if actor, ok := peerOf(conn); ok {
		return context.WithValue(ctx, peerKey, actor)
	}
	return ctx
}

func peerOf(conn net.Conn) (api.Actor, bool) {
	if bounded, ok := conn.(*boundedConn); ok {
		conn = bounded.Conn
	}
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return api.Actor{}, false
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return api.Actor{}, false
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || failed != nil {
		return api.Actor{}, false
	}
	actor := api.Actor{Via: "unix", UID: int(peer.Uid), PID: int(peer.Pid), Role: api.RoleOperator}
	if known, err := user.LookupId(strconv.Itoa(actor.UID)); err == nil {
		actor.Name = known.Username
	}
	return actor, true
}

// identify says who sent a request, or why nobody is let in.
func (s *Server) identify(r *http.Request) (api.Actor, *problem) {
	if actor, ok := r.Context().Value(peerKey).(api.Actor); ok {
		return actor, nil
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || r.TLS == nil || s.tokens == nil {
		return api.Actor{}, newProblem(http.StatusUnauthorized, "api.no-identity", "identify the caller",
			"the connection carries neither a peer's uid nor TLS", "use the unix socket, or TLS with a token")
	}
	stranger := api.Actor{Via: "token", Name: "unknown(" + address + ")"}
	if !s.failures.allowed(address) {
		return stranger, newProblem(http.StatusTooManyRequests, "api.too-many-failures", "identify the caller",
			"too many wrong tokens came from "+address, "wait some seconds, then present a valid token")
	}
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		s.failures.count(address)
		return stranger, newProblem(http.StatusUnauthorized, "api.no-token", "identify the caller",
			"the request has no bearer token", "send Authorization: Bearer TOKEN")
	}
	found, ok, err := s.tokens.Lookup(strings.TrimSpace(secret))
	if err != nil {
		s.log.Error("token file can't be read, nobody is let in", "error", err)
	}
	if !ok {
		s.failures.count(address)
		return stranger, newProblem(http.StatusUnauthorized, "api.bad-token", "identify the caller",
			"the token is not one that this server knows", "ask its operator for a token; edgehold token create makes one")
	}
	return api.Actor{Via: "token", Name: found.Name, Role: found.Role}, nil
}

// stillKnown reports whether the caller of a request that was let in would be let in now: tokens are revoked while streams are
// open.
func (s *Server) stillKnown(r *http.Request) bool {
	actor := requestOf(r.Context()).actor
	if actor.Via != "token" {
		return true
	}
	found, ok, err := s.tokens.Lookup(strings.TrimSpace(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	return err == nil && ok && found.Name == actor.Name
}

// authorize says whether an actor may send a request: viewers read, operators also change.
func authorize(actor api.Actor, r *http.Request) *problem {
	if actor.Role == api.RoleOperator || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	return newProblem(http.StatusForbidden, "api.forbidden", r.Method+" "+r.URL.Path,
		actor.String()+" has the role viewer, which only reads", "use a token with the role operator")
}
