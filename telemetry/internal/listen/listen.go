// Package listen opens and serves the local doors of telemetry: unix sockets and loopback addresses. It
// opens nothing that another machine could reach.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// Check says what is wrong with an address: unix:///path, or a loopback address with a port.
func Check(address string) error {
	_, _, err := split(address)
	return err
}

func split(address string) (network, where string, err error) {
	if path, isUnix := strings.CutPrefix(address, "unix://"); isUnix {
		if !strings.HasPrefix(path, "/") {
			return "", "", fmt.Errorf("address %q: the path of a socket begins with /", address)
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", fmt.Errorf("address %q: %w; write 127.0.0.1:4317 or unix:///path", address, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return "", "", fmt.Errorf("address %q: only loopback addresses and unix sockets are served, since nobody has to prove who they are; put a proxy with TLS in front for others", address)
	}
	return "tcp", net.JoinHostPort(host, port), nil
}

// Open listens. A socket that nobody listens on any more is replaced; one in use is an error.
func Open(ctx context.Context, address string) (net.Listener, error) {
	network, where, err := split(address)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, where)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) && abandoned(where) {
		if err = os.Remove(where); err == nil {
			listener, err = config.Listen(ctx, network, where)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	if network == "unix" {
		if err := os.Chmod(where, 0o660); err != nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: %w", address, err), listener.Close())
		}
	}
	return listener, nil
}

// abandoned reports whether path is a socket that refuses connections.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	_ = conn.Close()
	return false
}
