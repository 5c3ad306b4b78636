package mqtt

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// outbox is a connection whose writes never block: they wait in memory, within a bound, for the client to read. mochi writes while it holds a client's
// lock, which whoever publishes to that client needs: without the outbox one client that does not read would hold up all that publish.
type outbox struct {
	net.Conn
	user   string // whose listener it is
	limits Limits
	number uint64        // in the order in which they came
	known  atomic.Bool   // it is a client that was let in
	first  frames        // what comes before that: CONNECT, and what a client sends behind it without waiting (MQTT v5, 3.1.4)
	all    *atomic.Int64 // bytes that wait in all outboxes

	mu      sync.Mutex
	pending [][]byte
	bytes   int
	closed  bool
	until   time.Time     // when what waits has to be out, once it is closing
	less    sync.Cond     // told when bytes or closed changed
	ready   chan struct{} // has a token when there is something to do
}

// pieceBytes is up to which packets that wait are written at once.
const pieceBytes = 32 << 10

// connectBytes bounds a CONNECT: a stranger's packets are not to take as much room as a client's.
const connectBytes = 64 << 10

var errSlowReader = errors.New("the client does not read what waits for it")

func newOutbox(c net.Conn, user string, limits Limits, all *atomic.Int64) *outbox {
	o := &outbox{Conn: c, user: user, limits: limits, all: all, ready: make(chan struct{}, 1), first: frames{most: connectBytes, then: int(limits.PacketBytes)}}
	o.less.L = &o.mu
	return o
}

// Read is checked until mochi, which checks by itself, knows who it is.
func (o *outbox) Read(b []byte) (int, error) {
	if o.known.Load() {
		return o.Conn.Read(b)
	}
	return o.first.read(o.Conn, b)
}

// Write keeps a copy of b for the client, or cuts it off if too much waits for it.
func (o *outbox) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, net.ErrClosed
	}
	if o.full(len(b)) {
		o.end()
		_ = o.Conn.Close()
		return 0, errSlowReader
	}
	if last := len(o.pending) - 1; last >= 0 && len(o.pending[last])+len(b) <= pieceBytes {
		o.pending[last] = append(o.pending[last], b...)
	} else {
		o.pending = append(o.pending, append([]byte(nil), b...))
	}
	o.count(len(b))
	o.wake()
	return len(b), nil
}

// full says whether there is no room for more bytes: of this client's, or of all of them if it has more than its share. With mu held.
func (o *outbox) full(more int) bool {
	mine := o.bytes + more
	return mine > o.limits.PendingBytes || mine > o.limits.AllPending/o.limits.Clients && o.all.Load()+int64(more) > int64(o.limits.AllPending)
}

// count notes that more bytes wait. With mu held.
func (o *outbox) count(more int) {
	o.bytes += more
	o.all.Add(int64(more))
}

// end is called with mu held.
func (o *outbox) end() {
	o.count(-o.bytes)
	o.closed, o.pending = true, nil
	o.less.Broadcast()
	o.wake()
}

// room waits until at most half of what may wait does, for those who have much to write and can wait.
func (o *outbox) room() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closed && o.bytes > o.limits.PendingBytes/2 {
		o.less.Wait()
	}
}

func (o *outbox) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// SetDeadline bounds only reading: writes go to memory.
func (o *outbox) SetDeadline(t time.Time) error { return o.Conn.SetReadDeadline(t) }

// SetWriteDeadline has no meaning here.
func (o *outbox) SetWriteDeadline(time.Time) error { return nil }

// closingTime is how long a client may take for what waits when the connection is closed.
const closingTime = time.Second

// Close lets what waits go out, for closingTime, and then closes the connection.
func (o *outbox) Close() error {
	o.mu.Lock()
	if !o.closed {
		o.closed, o.until = true, time.Now().Add(closingTime)
		_ = o.Conn.SetWriteDeadline(o.until) // of what is being written, too
	}
	o.less.Broadcast()
	o.wake()
	o.mu.Unlock()
	_ = o.Conn.SetReadDeadline(time.Unix(1, 0)) // whoever reads is done now
	return nil
}

// run writes what waits until the connection ends.
func (o *outbox) run() {
	defer func() { _ = o.Conn.Close() }()
	for range o.ready {
		for {
			next, closed := o.take()
			if len(next) == 0 {
				if closed {
					return
				}
				break
			}
			if err := o.flush(next); err != nil {
				o.fail()
				return
			}
		}
	}
}

func (o *outbox) take() (next net.Buffers, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next, o.pending = o.pending, nil
	return next, o.closed
}

// flush gives the client the time limit for each piece.
func (o *outbox) flush(next net.Buffers) error {
	for _, b := range next {
		o.limit()
		if _, err := o.Conn.Write(b); err != nil {
			return err
		}
		o.mu.Lock()
		o.count(-min(o.bytes, len(b))) // none are left if it was cut off meanwhile
		o.less.Broadcast()
		o.mu.Unlock()
	}
	return nil
}

// limit sets the time for what is written next. It has the lock, so that Close is not overruled.
func (o *outbox) limit() {
	o.mu.Lock()
	defer o.mu.Unlock()
	until := o.until
	if until.IsZero() {
		until = time.Now().Add(o.limits.Stall)
	}
	_ = o.Conn.SetWriteDeadline(until)
}

func (o *outbox) fail() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.end()
}
