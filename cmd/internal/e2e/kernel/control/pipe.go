package control

import (
	"io"
	"net"
	"sync"
	"time"
)

// oneConn is a listener whose only connection exists already. Accept gives it once, and then waits until it is closed.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
	addr   net.Addr
}

func newOneConn(c net.Conn) *oneConn {
	l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{}), addr: c.LocalAddr()}
	l.conn <- &watched{Conn: c, closed: l.closed}
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.addr }

// watched tells when its connection is closed.
type watched struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (w *watched) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// Pipe makes a connection of a device that has no addresses, such as a virtio serial port's file.
func Pipe(device Device) net.Conn { return pipe{device} }

// Device is what a connection needs of a file; *os.File has it for devices that the poller knows.
type Device interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

type pipe struct{ Device }

func (pipe) LocalAddr() net.Addr  { return pipeAddr{} }
func (pipe) RemoteAddr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
