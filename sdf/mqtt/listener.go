package mqtt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"
)

// open listens at l.
func open(l Listener) (net.Listener, error) {
	u, err := url.Parse(l.Address)
	if err != nil {
		return nil, fmt.Errorf("broker listener %q: %w", l.Address, err)
	}
	switch u.Scheme {
	case "mqtt":
		return listenTCP(u.Host)
	case "mqtts":
		if l.TLS == nil {
			return nil, fmt.Errorf("broker listener %s: it needs a certificate", l.Address)
		}
		inner, err := listenTCP(u.Host)
		if err != nil {
			return nil, err
		}
		return tls.NewListener(inner, l.TLS), nil
	case "unix":
		preset(&l.Mode, 0o660)
		return listenUnix(u.Path, fs.FileMode(l.Mode))
	}
	return nil, fmt.Errorf("broker listener %q: its scheme is none of mqtt, mqtts and unix", l.Address)
}

func listenTCP(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for MQTT clients: %w", err)
	}
	return l, nil
}

// listenUnix takes over a socket that nobody serves any more.
func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		_ = os.Remove(path)
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for MQTT clients: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen for MQTT clients: %w", err)
	}
	return l, nil
}

func abandoned(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return false
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// acceptor gives mochi connections that can't hurt it: they have a deadline for CONNECT, an outbox, and there are not too many.
type acceptor struct {
	net.Listener
	user    string
	limits  Limits
	crowded func() bool
}

// Accept survives what passes, such as too many open files: mochi would stop listening for good.
func (a *acceptor) Accept() (net.Conn, error) {
	for {
		c, err := a.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			time.Sleep(50 * time.Millisecond)
			continue
		case a.crowded():
			_ = c.Close()
			continue
		}
		_ = c.SetReadDeadline(time.Now().Add(a.limits.Handshake))
		return newOutbox(c, a.user, a.limits), nil
	}
}
