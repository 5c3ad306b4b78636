package coap

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options of signals (RFC 8323 section 5).
const (
	csmMaxMessage OptionID = 2
	csmBlockWise  OptionID = 4

	abortBadSetting OptionID = 2
)

// baseMaxMessage is what a peer takes before it says otherwise (RFC 8323 section 5.3.1).
const baseMaxMessage = 1152

// connection is one TCP connection: a reader that is the goroutine of serve, and a writer.
type connection struct {
	transport *TCP
	conn      net.Conn
	peer      Peer
	source    netip.Prefix
	last      atomic.Int64  // when a frame came, or the connection began, in nanoseconds since 1970
	out       chan []byte   // whole frames; nil closes the connection after what is before it
	greatest  atomic.Uint32 // message that the peer takes
	ready     chan struct{} // closed when the peer introduced itself
	done      chan struct{} // closed when the connection ends
	once      sync.Once
}

// end ends the connection; reader and writer see it.
func (c *connection) end() {
	c.once.Do(func() {
		close(c.done)
		_ = c.conn.Close()
	})
}

func (c *connection) heard() { c.last.Store(time.Now().UnixNano()) }

// serve reads the connection from its handshake to its end.
func (c *connection) serve() {
	t := c.transport
	cause := c.run()
	c.end()
	t.mu.Lock()
	t.forget(c)
	t.mu.Unlock()
	t.receiver.Unreachable(c.peer, nil, fmt.Errorf("%w: %w", ErrUnreachable, cause))
}

func (c *connection) run() error {
	if err := c.handshake(); err != nil {
		return err
	}
	c.transport.ended.Go(c.write)
	introduction := &Message{Code: signalCSM}
	introduction.SetUint(csmMaxMessage, uint32(c.transport.config.MaxMessage))
	introduction.SetOpaque(csmBlockWise, nil)
	if err := c.say(introduction); err != nil {
		return err
	}
	return c.read()
}

// handshake is TLS's, if there is any.
func (c *connection) handshake() error {
	_ = c.conn.SetDeadline(time.Now().Add(c.transport.config.Patience))
	secured, ok := c.conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if err := secured.Handshake(); err != nil {
		return err
	}
	if c.transport.config.Identity == nil {
		return nil
	}
	var err error
	c.peer.Identity, err = c.transport.config.Identity(secured.ConnectionState())
	return err
}

// read takes one frame after the other.
func (c *connection) read() error {
	in := bufio.NewReaderSize(c.conn, 2048)
	var frame []byte
	for first := true; ; first = false {
		var err error
		if cap(frame) > framePart {
			frame = nil // one long message is no reason to keep its memory
		}
		if frame, err = c.next(in, frame[:0], first); err != nil {
			return err
		}
		c.heard()
		code, err := c.signal(frame, first)
		if err != nil {
			return errors.Join(err, c.abort(err))
		}
		if code.Class() != signalClass || code == signalPong {
			c.transport.receiver.Receive(c.peer, frame)
		}
	}
}

// next reads one frame. The first one must come soon, and so must the rest of each that began.
func (c *connection) next(in *bufio.Reader, frame []byte, first bool) ([]byte, error) {
	if !first {
		_ = c.conn.SetReadDeadline(time.Time{})
	}
	if _, err := in.Peek(1); err != nil {
		return frame, err
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(c.transport.config.Patience))
	total, header := int64(0), 0
	for n := 1; header == 0; n++ {
		begin, err := in.Peek(n)
		if err != nil {
			return frame, err
		}
		total, header = frameLength(begin)
	}
	if total > int64(c.transport.config.MaxMessage) {
		err := fmt.Errorf("message of %d bytes: %w", total, ErrTooLarge)
		return frame, errors.Join(err, c.abort(err))
	}
	return readWhole(in, frame, int(total))
}

// framePart is how much memory is made for a frame before it has come: who only announces long ones shall get no more.
const framePart = 4096

// readWhole appends total bytes.
func readWhole(in io.Reader, frame []byte, total int) ([]byte, error) {
	for len(frame) < total {
		have := len(frame)
		frame = slices.Grow(frame, min(total-have, framePart))
		frame = frame[:min(total, cap(frame))]
		if _, err := io.ReadFull(in, frame[have:]); err != nil {
			return frame, err
		}
	}
	return frame, nil
}

// signal acts on a frame that is a signal, and returns its code (RFC 8323 section 5). An error ends the connection: so does a critical
// option of a signal, as we understand none.
func (c *connection) signal(frame []byte, first bool) (Code, error) {
	_, header := frameLength(frame)
	code := Code(frame[header-1])
	if first && code != signalCSM {
		return code, errors.New("connection does not begin with its settings")
	}
	if code.Class() != signalClass {
		return code, nil
	}
	var m Message
	if err := decodeFrame(frame, &m); err != nil && code != signalAbort {
		return code, err
	}
	switch code {
	case signalCSM:
		if size, ok := m.Uint(csmMaxMessage); ok {
			c.greatest.Store(size)
		}
		if first {
			close(c.ready)
		}
	case signalPing:
		return code, c.say(&Message{Code: signalPong, Token: m.Token})
	case signalRelease, signalAbort:
		return code, io.EOF
	}
	return code, nil
}

// say sends a signal; the connection ends after a Release and an Abort.
func (c *connection) say(m *Message) error {
	frame, err := appendFrame(nil, m)
	if err != nil {
		return err
	}
	if err := c.queue(frame); err != nil || m.Code != signalRelease && m.Code != signalAbort {
		return err
	}
	return c.queue(nil)
}

// abort tells the peer why the connection ends, unless it ended it itself.
func (c *connection) abort(cause error) error {
	if errors.Is(cause, io.EOF) {
		return nil
	}
	why := &Message{Code: signalAbort, Payload: []byte(cause.Error())}
	var critical *criticalError
	if errors.As(cause, &critical) && critical.code == signalCSM {
		why.SetUint(abortBadSetting, uint32(critical.option))
	}
	if err := c.say(why); err != nil {
		return err
	}
	<-c.done // the writer ends when it has sent that, or cannot
	return nil
}

func (c *connection) send(frame []byte) error {
	if greatest := c.greatest.Load(); len(frame) > int(greatest) {
		return fmt.Errorf("message of %d bytes to a peer that takes %d: %w", len(frame), greatest, ErrTooLarge)
	}
	return c.queue(append([]byte(nil), frame...))
}

// queue hands a frame to the writer. Nothing may be lost here, so a peer that does not read loses its connection.
func (c *connection) queue(frame []byte) error {
	select {
	case <-c.done:
		return fmt.Errorf("connection is closed: %w", ErrUnreachable)
	default:
	}
	select {
	case c.out <- frame:
		return nil
	default:
		c.end()
		return fmt.Errorf("peer does not read: %w", ErrUnreachable)
	}
}

// write is the writer.
func (c *connection) write() {
	defer c.end()
	for {
		select {
		case <-c.done:
			return
		case frame := <-c.out:
			if frame == nil {
				return
			}
			_ = c.conn.SetWriteDeadline(time.Now().Add(c.transport.config.Patience))
			if _, err := c.conn.Write(frame); err != nil {
				return
			}
		}
	}
}
