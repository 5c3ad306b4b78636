package coap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Why an exchange failed; ErrUnreachable and ErrClosed are others.
var (
	ErrTimeout = errors.New("peer does not answer")
	ErrReset   = errors.New("peer reset the message")
	ErrBusy    = errors.New("too many exchanges wait for the peer")
)

// exchange is a message of ours that waits for an acknowledgement, an answer, or both.
type exchange struct {
	token        Token
	id           uint16
	confirmable  bool // what is sent
	wantResponse bool
	wantAck      bool // guarded by the shard's lock, as the next
	holdsTurn    bool
	outcome      chan outcome // two at most: acknowledged, then the end
	timer        *time.Timer
}

// outcome is what became of an exchange.
type outcome struct {
	response *Message // the caller's
	err      error
	acked    bool // and nothing else yet
}

// exchange sends m to p and waits for what want says: until the peer acknowledges it, or until it answers.
func (e *Endpoint) exchange(ctx context.Context, p Peer, m *Message, wantResponse bool) (*Message, error) {
	l := e.link(p.Transport)
	if l == nil {
		return nil, fmt.Errorf("no transport %q", p.Transport)
	}
	k := keyOf(l, p)
	hash := k.hash(e.seed)
	x, err := e.open(ctx, k, hash, m, wantResponse)
	if err != nil {
		return nil, err
	}
	defer e.close(k, hash, x)
	out := *m
	out.ID = x.id
	buffer := datagrams.Get().(*[]byte)
	defer datagrams.Put(buffer)
	if *buffer, err = l.appendMessage((*buffer)[:0], &out); err != nil {
		return nil, err
	}
	if len(*buffer) > l.maxMessage() {
		return nil, fmt.Errorf("message of %d bytes: %w", len(*buffer), ErrTooLarge)
	}
	if !wantResponse && m.Type == NonConfirmable && e.config.Refused != nil {
		e.notified.put(k, x.id, x.token)
	}
	e.prime(l, p, hash)
	return e.drive(ctx, l, p, *buffer, x)
}

// prime has p spend the messages that its transport is going to refuse: on answers to pings, for which nobody waits.
func (e *Endpoint) prime(l *link, p Peer, hash uint64) {
	r, ok := l.transport.(Resumer)
	if !ok {
		return
	}
	for range r.Owed(p) {
		id := e.nextID(hash)
		_ = l.transport.Send(p, []byte{1<<6 | byte(Confirmable)<<4, 0, byte(id >> 8), byte(id)})
	}
}

// open waits for the peer's turn and registers the exchange.
func (e *Endpoint) open(ctx context.Context, k key, hash uint64, m *Message, wantResponse bool) (*exchange, error) {
	x := e.exchanges.Get().(*exchange)
	x.token, x.wantResponse = m.Token, wantResponse
	x.confirmable = m.Type == Confirmable && !k.link.traits.Reliable
	x.wantAck = x.confirmable
	s := e.shard(hash)
	s.mu.Lock()
	p := s.peer(k, hash)
	if x.confirmable && p.unacked >= e.reliability.NStart {
		if err := e.wait(ctx, s, p); err != nil {
			return nil, err
		}
		p = s.peer(k, hash) // the turn that was handed over keeps it there
	} else if x.confirmable {
		p.unacked++
	}
	defer s.mu.Unlock()
	if len(p.exchanges) >= e.limits.PeerWaiting {
		if x.confirmable {
			p.passTurn()
		}
		s.leave(p)
		return nil, ErrBusy
	}
	x.holdsTurn = x.confirmable
	x.id = e.nextID(hash)
	p.exchanges = append(p.exchanges, x)
	return x, nil
}

// wait waits for a turn. The shard is locked when it is called, and when it returns without an error.
func (e *Endpoint) wait(ctx context.Context, s *shard, p *peer) error {
	if len(p.waiting) >= e.limits.PeerWaiting {
		s.mu.Unlock()
		return ErrBusy
	}
	mine := &turn{granted: make(chan struct{})}
	p.waiting = append(p.waiting, mine)
	s.mu.Unlock()
	var err error
	select {
	case <-mine.granted:
		s.mu.Lock()
		return nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-e.life.Done():
		err = ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(p.waiting, mine); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else {
		p.passTurn() // it was granted meanwhile
	}
	s.leave(p)
	return err
}

// passTurn gives a turn to who waits first, or back.
func (p *peer) passTurn() {
	if len(p.waiting) == 0 {
		p.unacked--
		return
	}
	close(p.waiting[0].granted)
	p.waiting = slices.Delete(p.waiting, 0, 1)
}

// close ends an exchange, whatever became of it.
func (e *Endpoint) close(k key, hash uint64, x *exchange) {
	s := e.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[k]
	if p == nil {
		return
	}
	p.remove(x)
	p.releaseTurn(x)
	s.leave(p)
	if x.timer != nil {
		x.timer.Stop()
	}
	for len(x.outcome) > 0 {
		<-x.outcome
	}
	e.exchanges.Put(x)
}

func (p *peer) remove(x *exchange) {
	if i := slices.Index(p.exchanges, x); i >= 0 {
		p.exchanges = slices.Delete(p.exchanges, i, i+1)
	}
}

func (p *peer) releaseTurn(x *exchange) {
	if x.holdsTurn {
		x.holdsTurn = false
		p.passTurn()
	}
}

// drive sends the message as often as it takes (RFC 7252 section 4.2), and waits for the outcome.
func (e *Endpoint) drive(ctx context.Context, l *link, p Peer, datagram []byte, x *exchange) (*Message, error) {
	if err := l.transport.Send(p, datagram); err != nil {
		return nil, err
	}
	if !x.confirmable && !x.wantResponse {
		return nil, nil
	}
	wait, left := e.reliability.ResponseTimeout, 0
	if x.confirmable {
		wait, left = e.firstWait(), e.reliability.MaxRetransmit
	}
	x.startTimer(wait)
	for {
		select {
		case o := <-x.outcome:
			if !o.acked {
				return o.response, o.err
			}
			left = 0
			x.timer.Reset(e.reliability.ResponseTimeout)
		case <-x.timer.C:
			if left <= 0 {
				e.counts.timeouts.Add(1)
				return nil, ErrTimeout
			}
			left--
			wait *= 2
			x.timer.Reset(wait)
			e.counts.retransmissions.Add(1)
			if err := l.transport.Send(p, datagram); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-e.life.Done():
			return nil, ErrClosed
		}
	}
}

func (x *exchange) startTimer(wait time.Duration) {
	if x.timer == nil {
		x.timer = time.NewTimer(wait)
		return
	}
	x.timer.Reset(wait)
}

// firstWait is ACK_TIMEOUT times 1 to ACK_RANDOM_FACTOR.
func (e *Endpoint) firstWait() time.Duration {
	t := float64(e.reliability.AckTimeout)
	return time.Duration(t + rand.Float64()*t*(e.reliability.RandomFactor-1))
}

// acknowledged takes an empty ACK, or a reset if err is not nil.
func (e *Endpoint) acknowledged(k key, hash uint64, id uint16, err error) bool {
	s := e.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[k]
	if p == nil {
		return false
	}
	for _, x := range p.exchanges {
		if x.id == id && (x.wantAck || err != nil) {
			x.wantAck = false
			if err == nil && x.wantResponse {
				x.outcome <- outcome{acked: true}
			} else {
				x.outcome <- outcome{err: err}
				p.remove(x)
			}
			p.releaseTurn(x)
			return true
		}
	}
	return false
}

// answered hands an answer to the exchange that waits for it, and says whether there is one. The message is copied.
func (e *Endpoint) answered(k key, hash uint64, m *Message) bool {
	s := e.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[k]
	if p == nil {
		return false
	}
	for _, x := range p.exchanges {
		if !x.wantResponse || x.token != m.Token || m.Type == Acknowledgement && x.id != m.ID {
			continue
		}
		x.outcome <- outcome{response: m.Clone()}
		p.remove(x)
		p.releaseTurn(x)
		return true
	}
	return false
}

// failed ends the exchanges with a peer by an error: all, or the one whose message is quoted.
func (e *Endpoint) failed(k key, hash uint64, quoted *Message, err error) {
	s := e.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers[k]
	if p == nil {
		return
	}
	p.exchanges = slices.DeleteFunc(p.exchanges, func(x *exchange) bool {
		if quoted != nil && (x.id != quoted.ID || x.token != quoted.Token) {
			return false
		}
		x.outcome <- outcome{err: err}
		p.releaseTurn(x)
		return true
	})
}
