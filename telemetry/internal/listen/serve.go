package listen

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Serve has server answer on listener until ctx ends. Requests that are under way then have grace to end.
func Serve(ctx context.Context, listener net.Listener, server *http.Server, grace time.Duration) error {
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(ending) != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
