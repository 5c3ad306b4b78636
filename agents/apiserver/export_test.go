package apiserver

import (
	"context"
	"net"
	"net/http"

	"github.com/edgehold/edgehold/agents/api"
)

// StatusOf is the status that a backend's error becomes.
func StatusOf(err error) int { return problemOf(err).Status }

// Reader is a subscription as tests see it.
type Reader struct{ s *subscription }

// Events is the channel.
func (r *Reader) Events() <-chan api.Event { return r.s.events }

// Last is the final event.
func (r *Reader) Last() api.Event { return r.s.last }

// Subscribe adds a reader; nil when there is no place.
func Subscribe(e *Events) (*Reader, func()) {
	s, cancel, err := e.subscribe(0)
	if err != nil {
		return nil, nil
	}
	return &Reader{s}, cancel
}

// Handler serves without a listener, as an operator on the socket would be served.
func Handler(c Config) http.Handler {
	inner := build(c).handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer := api.Actor{Via: "unix", Role: api.RoleOperator}
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerKey, peer)))
	})
}

// Bound bounds a listener's connections.
func Bound(l net.Listener, maxConnections int) net.Listener { return bound(l, maxConnections) }
