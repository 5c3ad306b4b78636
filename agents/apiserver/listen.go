package apiserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the size of sun_path in struct sockaddr_un less its final zero (unix(7)).
const maxSocketPath = 107

// ListenError says why a server can't listen.
type ListenError struct {
	Attempt, Code, Why, Hint string
	Err                      error
}

func (e *ListenError) Error() string     { return e.Attempt + ": " + e.Why }
func (e *ListenError) Unwrap() error     { return e.Err }
func (e *ListenError) ErrorCode() string { return e.Code }
func (e *ListenError) ErrorWhy() string  { return e.Why }
func (e *ListenError) ErrorHint() string { return e.Hint }

// socket is a unix socket with the lock that makes it ours. RATIONALE.md says why there is a lock beside it.
type socket struct {
	net.Listener
	path string
	lock *os.File
	own  os.FileInfo
}

// listenUnix makes the socket. One that a dead daemon left is replaced, a live daemon's is not touched. It appears under
// its name only after its mode is set.
func listenUnix(path string, mode os.FileMode, groupID, maxConnections int) (_ *socket, err error) {
	attempt := "listen on " + path
	lock, err := lockSocket(path)
	if err != nil {
		return nil, err
	}
	s := &socket{path: path, lock: lock}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if err := refuseLive(path); err != nil {
		return nil, err
	}
	fail := func(err error) (*socket, error) {
		return nil, &ListenError{attempt, "api.listen-failed", err.Error(), "check the folder's owner and mode, or choose another socket", err}
	}
	temporary := path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return fail(err)
	}
	listener.SetUnlinkOnClose(false)
	s.Listener = bound(listener, maxConnections)
	if err := publish(temporary, path, mode, groupID); err != nil {
		os.Remove(temporary)
		return fail(err)
	}
	s.own, err = os.Lstat(path)
	return s, err
}

func publish(temporary, path string, mode os.FileMode, groupID int) error {
	if err := os.Chmod(temporary, mode); err != nil {
		return err
	}
	if groupID != 0 {
		if err := os.Lchown(temporary, -1, groupID); err != nil {
			return err
		}
	}
	return os.Rename(temporary, path)
}

// lockSocket takes the lock beside the socket. The kernel gives it up when the process ends, however it ends.
func lockSocket(path string) (*os.File, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &ListenError{"listen on " + path, "api.listen-failed", err.Error(), "create the folder, or choose another socket", err}
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, inUse(path, err)
	}
	return lock, nil
}

// refuseLive returns an error unless the path is free or holds a socket that nobody answers.
func refuseLive(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		return &ListenError{"listen on " + path, "api.not-a-socket", "something that is not a socket has this name",
			"move it away, or choose another socket", nil}
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return inUse(path, nil)
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return inUse(path, err)
}

func inUse(path string, err error) error {
	return &ListenError{"listen on " + path, "api.socket-in-use", "another daemon answers there",
		"stop the other daemon, or choose another socket", err}
}

// Addr is where the socket is, not where it was made.
func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// Close stops listening and removes the socket if it is still ours.
func (s *socket) Close() error {
	var err error
	if s.Listener != nil {
		err = s.Listener.Close()
	}
	if now, statErr := os.Lstat(s.path); statErr == nil && s.own != nil && os.SameFile(now, s.own) {
		os.Remove(s.path)
	}
	s.lock.Close()
	return err
}

// listenTCP listens on the network with a bounded number of connections, TLS 1.3 only.
func listenTCP(t *TCP, maxConnections int) (net.Listener, error) {
	files := &certificateFiles{certFile: t.CertFile, keyFile: t.KeyFile}
	if _, err := files.current(); err != nil {
		return nil, &ListenError{"listen on " + t.Address, "api.bad-certificate", err.Error(), "give a certificate chain and its key in PEM", err}
	}
	inner, err := net.Listen("tcp", t.Address)
	if err != nil {
		return nil, &ListenError{"listen on " + t.Address, "api.listen-failed", err.Error(), "choose another address", err}
	}
	return tls.NewListener(bound(inner, maxConnections), &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return files.current() },
		NextProtos:     []string{"h2", "http/1.1"},
	}), nil
}

// ListenTLS listens for another service of the daemon, as a server with [TCP] does for its own.
func ListenTLS(address, certFile, keyFile string, maxConnections int) (net.Listener, error) {
	return listenTCP(&TCP{Address: address, CertFile: certFile, KeyFile: keyFile}, maxConnections)
}

// ListenPlain listens without TLS, with a bounded number of connections.
func ListenPlain(address string, maxConnections int) (net.Listener, error) {
	inner, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &ListenError{"listen on " + address, "api.listen-failed", err.Error(), "choose another address", err}
	}
	return bound(inner, maxConnections), nil
}

// boundedListener accepts no more connections than it has slots; the rest wait in the kernel's queue.
type boundedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func bound(l net.Listener, maxConnections int) *boundedListener {
	return &boundedListener{Listener: l, slots: make(chan struct{}, maxConnections), closed: make(chan struct{})}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, fmt.Errorf("accept: %w", net.ErrClosed)
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &boundedConn{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type boundedConn struct {
	net.Conn
	free func()
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}
