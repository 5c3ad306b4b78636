package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/edgehold/edgehold/agents/apiserver"
	"github.com/edgehold/edgehold/agents/node"
)

// Bounds of the mirror. Whoever may reach it is not asked who they are.
const (
	mirrorConnections = 64
	mirrorHeaderTime  = 10 * time.Second
	mirrorAnswerTime  = 10 * time.Minute // of the largest module over a slow link
	mirrorIdleTime    = 30 * time.Second
	mirrorDrainTime   = 5 * time.Second
)

// listenMirror listens for those who pull from this node; nil without a mirror.
func listenMirror(m node.Mirror) (net.Listener, error) {
	switch {
	case m.Listen == "":
		return nil, nil
	case m.Plain:
		return apiserver.ListenPlain(m.Listen, mirrorConnections)
	}
	return apiserver.ListenTLS(m.Listen, m.TLS.Certificate, m.TLS.Key, mirrorConnections)
}

// serveMirror answers until ctx ends.
func serveMirror(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: mirrorHeaderTime, ReadTimeout: mirrorHeaderTime, WriteTimeout: mirrorAnswerTime, IdleTimeout: mirrorIdleTime,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), mirrorDrainTime)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(drain), server.Close())
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) || stop() {
		return err
	}
	return <-stopped
}
