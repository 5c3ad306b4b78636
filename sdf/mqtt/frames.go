package mqtt

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// frames follows the packets in a stream of bytes (MQTT v5, 2.1.1), and refuses one that says that it is longer than it may be. Both mochi and paho make room
// for as much as a packet says that it has before any of it has come: four bytes would be 256 MiB.
type frames struct {
	most   int // bytes of a packet
	then   int // of those behind the first; 0: as many
	left   int // of the packet that is being read
	header int // bytes of the next one's fixed header that were read
	length int // what they say so far
}

var errFrame = errors.New("a packet says that it is larger than it may be")

func (f *frames) see(b []byte) error {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, len(b))
			f.left, b = f.left-n, b[n:]
			continue
		}
		if err := f.begin(b[0]); err != nil {
			return err
		}
		b = b[1:]
	}
	return nil
}

// begin reads a byte of a fixed header: type and flags, then a variable byte integer (MQTT v5, 1.5.5).
func (f *frames) begin(c byte) error {
	if f.header++; f.header == 1 {
		f.length = 0
		return nil
	}
	f.length |= int(c&0x7f) << (7 * (f.header - 2))
	switch {
	case f.length > f.most || c&0x80 != 0 && f.header == 5:
		return errFrame
	case c&0x80 == 0:
		f.left, f.header = f.length, 0
		f.most = cmp.Or(f.then, f.most)
	}
	return nil
}

// read is Read of c, checked.
func (f *frames) read(c net.Conn, b []byte) (int, error) {
	n, err := c.Read(b)
	if bad := f.see(b[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// The connections of a client, checked. Those that can write several pieces at once stay so.
type (
	checkedTCP struct {
		*net.TCPConn
		frames frames
	}
	checkedUnix struct {
		*net.UnixConn
		frames frames
	}
	checkedConn struct {
		net.Conn
		frames frames
	}
)

func (c *checkedTCP) Read(b []byte) (int, error)  { return c.frames.read(c.TCPConn, b) }
func (c *checkedUnix) Read(b []byte) (int, error) { return c.frames.read(c.UnixConn, b) }
func (c *checkedConn) Read(b []byte) (int, error) { return c.frames.read(c.Conn, b) }

// checked is c, whose packets may have so many bytes.
func checked(c net.Conn, most int) net.Conn {
	f := frames{most: most}
	switch c := c.(type) {
	case *net.TCPConn:
		return &checkedTCP{c, f}
	case *net.UnixConn:
		return &checkedUnix{c, f}
	}
	return packets.NewThreadSafeConn(&checkedConn{c, f})
}

// connect reaches the broker at u.
func connect(ctx context.Context, u *url.URL, secured *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	switch u.Scheme {
	case "unix":
		return new(net.Dialer).DialContext(ctx, "unix", u.Path)
	case "mqtt", "tcp":
		return new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	case "mqtts", "tls", "ssl":
		return (&tls.Dialer{Config: secured}).DialContext(ctx, "tcp", u.Host)
	}
	return nil, fmt.Errorf("%q is none of mqtt, mqtts, ws, wss and unix", u.Scheme)
}

const connectTimeout = 10 * time.Second
