package mqtt

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
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
		l.Mode = cmp.Or(l.Mode, 0o660)
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
	user  string
	conns *conns
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
		}
		if o := a.conns.add(c, a.user); o != nil {
			return o, nil
		}
		_ = c.Close()
	}
}

// conns are the connections that are open, so that there is a bound and an end to them.
type conns struct {
	limits Limits
	mu     sync.Mutex
	open   map[*outbox]struct{}
	bytes  atomic.Int64 // that wait for them
	count  uint64       // of all that ever were
	closed bool
	work   sync.WaitGroup
}

// unknown is how many connections there may be beyond the bound of clients, since it takes a while until one says who it is.
const unknown = 64

// add starts the outbox of c, or gives nil if there are too many. The oldest of those who have not said who they are gives way: else whoever opens connections and is
// silent would keep everybody out, on every listener.
func (s *conns) add(c net.Conn, user string) *outbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.open) >= s.limits.Clients+unknown && !s.turnOut() {
		return nil
	}
	_ = c.SetReadDeadline(time.Now().Add(s.limits.Handshake))
	o := newOutbox(c, user, s.limits, &s.bytes)
	s.count++
	o.number = s.count
	s.open[o] = struct{}{}
	s.work.Go(func() {
		o.run()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, o)
	})
	return o
}

// turnOut ends the oldest connection of a stranger. With mu held.
func (s *conns) turnOut() bool {
	var oldest *outbox
	for o := range s.open {
		if !o.known.Load() && (oldest == nil || o.number < oldest.number) {
			oldest = o
		}
	}
	if oldest == nil {
		return false
	}
	_ = oldest.Close()
	delete(s.open, oldest)
	return true
}

// close ends all of them, and waits for it.
func (s *conns) close() {
	s.mu.Lock()
	s.closed = true
	for o := range s.open {
		_ = o.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}
