package registry

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Bounds of a server that asks nobody who they are.
const (
	serveHeaderTime  = 10 * time.Second
	serveAnswerTime  = 10 * time.Minute // of the largest module over a slow link
	serveStallTime   = 30 * time.Second // for 32 KiB of it
	serveIdleTime    = 30 * time.Second
	serveDrainTime   = 5 * time.Second
	serveHeaderBytes = 16 << 10
)

// Run answers those who pull, with [Mirror] or [Serve], until ctx ends. It closes the listener.
func Run(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, ReadTimeout: serveHeaderTime, WriteTimeout: serveAnswerTime, IdleTimeout: serveIdleTime, MaxHeaderBytes: serveHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), serveDrainTime)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(drain), server.Close())
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) || stop() {
		return err
	}
	return <-stopped
}

// IsPrivate reports whether an address to listen on is one that only this machine or its own network reaches: that may go
// without TLS where an operator says so.
func IsPrivate(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	return host == "localhost" || err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast())
}
