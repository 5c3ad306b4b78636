package coap

import (
	"errors"
	"time"
)

// receiver takes what one transport receives. It never waits: what takes time is a job of the peer's.
type receiver struct {
	endpoint *Endpoint
	link     *link
}

// arrival is one message on its way through the receiver.
type arrival struct {
	peer    Peer
	key     key
	hash    uint64
	now     time.Duration
	size    int // of the message, in bytes
	message Message

	verified   bool // the peer is where it says
	challenged bool // it was asked to show that
}

// Receive takes one message of p.
func (r receiver) Receive(p Peer, message []byte) {
	e := r.endpoint
	e.counts.received.Add(1)
	j := e.jobs.Get().(*job)
	j.endpoint, j.data = e, append(j.data[:0], message...)
	a := &j.arrival
	a.peer, a.key, a.now, a.size = p, keyOf(r.link, p), e.now(), len(message)
	a.hash = a.key.hash(e.seed)
	a.challenged = false
	if !e.admits(a) || !r.take(j) {
		e.recycle(j)
	}
}

// take says whether the job was handed on.
func (r receiver) take(j *job) bool {
	m := &j.message
	err := r.link.decode(j.data, m)
	switch {
	case err != nil && !errors.Is(err, errCritical):
		r.endpoint.counts.malformed.Add(1)
		r.reject(j, err)
		return false
	case m.Code == Empty:
		r.empty(j)
		return false
	case m.Code.IsRequest():
		return r.request(j, err)
	case (m.Code.IsResponse() || r.link.traits.Reliable && m.Code == signalPong) && err == nil:
		return r.response(j)
	default:
		r.reject(j, nil)
		return false
	}
}

// reject resets a confirmable message that makes no sense (RFC 7252 section 4.2), and is silent on any other datagram. A
// connection that carries nonsense is ended: who waits for an answer there waits for ever (RFC 8323 section 5.6).
func (r receiver) reject(j *job, err error) {
	if closer, ok := r.link.transport.(Closer); ok && r.link.traits.Reliable && err != nil {
		_ = closer.ClosePeer(j.peer)
		return
	}
	if r.link.traits.Reliable || errors.Is(err, errVersion) || errors.Is(err, errTruncated) && len(j.data) < 4 {
		return
	}
	if j.message.Type == Confirmable {
		r.endpoint.reset(j)
	}
}

// reset tells the peer that its message came and means nothing.
func (e *Endpoint) reset(j *job) {
	e.counts.resets.Add(1)
	id := j.message.ID
	_ = j.key.link.transport.Send(j.peer, []byte{1<<6 | byte(Reset)<<4, 0, byte(id >> 8), byte(id)})
}

// empty takes a message without a code: a ping, an acknowledgement, or a reset.
func (r receiver) empty(j *job) {
	if r.link.traits.Reliable {
		return
	}
	switch m := &j.message; m.Type {
	case Confirmable:
		r.endpoint.reset(j)
	case Acknowledgement:
		r.endpoint.acknowledged(j.key, j.hash, m.ID, nil)
	case Reset:
		if !r.endpoint.acknowledged(j.key, j.hash, m.ID, ErrReset) {
			r.endpoint.refused(j)
		}
	}
}

// request takes a request for the Handler.
func (r receiver) request(j *job, critical error) bool {
	e := r.endpoint
	if !r.link.traits.Reliable {
		if t := j.message.Type; t != Confirmable && t != NonConfirmable {
			return false
		}
		if critical != nil && j.message.Type == NonConfirmable {
			return false // RFC 7252 section 5.4.1
		}
		if !r.first(j) {
			return false
		}
		if !j.verified && !e.shows(&j.arrival) && e.pressed() {
			j.challengeNow()
			return false
		}
	}
	j.kind = jobRequest
	if critical != nil {
		j.kind = jobBadOption
	}
	return r.enqueue(j, e)
}

func (r receiver) enqueue(j *job, e *Endpoint) bool {
	j.expectAck()
	if e.submit(j) {
		return true
	}
	e.counts.overload.Add(1)
	if r.link.traits.Reliable {
		j.refuseBusy() // who sent it will not send it again
		return false
	}
	r.link.history.forget(j.ticket)
	j.state.Store(jobAnswered)
	return false
}

// first says whether the message is new; if it is not, what was answered to it is answered again.
func (r receiver) first(j *job) bool {
	t, reply, seen := r.link.history.enter(j.key, j.hash, j.message.ID, j.now, j.out[:0])
	j.ticket, j.out = t, reply[:0]
	if seen == isNew {
		return true
	}
	r.endpoint.counts.duplicates.Add(1)
	if len(reply) > 0 {
		_ = r.link.transport.Send(j.peer, reply)
	}
	return false
}

// response takes an answer: for the exchange that waits for it, or else for who keeps observations.
func (r receiver) response(j *job) bool {
	e, m := r.endpoint, &j.message
	if m.Type == Reset {
		return false
	}
	if !r.link.traits.Reliable && m.Type != Acknowledgement && !r.first(j) {
		return false
	}
	if e.answered(j.key, j.hash, m) {
		if m.Token.length >= 4 {
			e.guard.verified.add(j.hash, j.now) // it read what we sent there
		}
		e.acknowledge(j)
		return false
	}
	if m.Type == Acknowledgement || e.config.Notifications == nil {
		e.unknown(j)
		return false
	}
	j.kind = jobNotification
	return r.enqueue(j, e)
}

// acknowledge sends an empty acknowledgement if the message asks for one.
func (e *Endpoint) acknowledge(j *job) {
	l, id := j.key.link, j.message.ID
	if l.traits.Reliable || j.message.Type != Confirmable {
		return
	}
	ack := [4]byte{1<<6 | byte(Acknowledgement)<<4, 0, byte(id >> 8), byte(id)}
	l.history.answered(j.ticket, ack[:])
	_ = l.transport.Send(j.peer, ack[:])
}

// unknown refuses an answer that nobody asked for (RFC 7252 section 4.2, RFC 7641 section 3.5).
func (e *Endpoint) unknown(j *job) {
	e.counts.unknown.Add(1)
	l, id := j.key.link, j.message.ID
	if l.traits.Reliable || j.message.Type == Acknowledgement {
		return
	}
	rst := [4]byte{1<<6 | byte(Reset)<<4, 0, byte(id >> 8), byte(id)}
	l.history.answered(j.ticket, rst[:])
	e.counts.resets.Add(1)
	_ = l.transport.Send(j.peer, rst[:])
}

// Prime implements [Primer].
func (r receiver) Prime(p Peer) { r.endpoint.prime(r.link, p, keyOf(r.link, p).hash(r.endpoint.seed)) }

// Unreachable fails what goes on with p.
func (r receiver) Unreachable(p Peer, quoted []byte, cause error) {
	k := keyOf(r.link, p)
	if quoted == nil {
		r.endpoint.failed(k, k.hash(r.endpoint.seed), nil, cause)
		return
	}
	var m Message
	if len(quoted) >= 4 {
		m.ID = uint16(quoted[2])<<8 | uint16(quoted[3])
		m.Token = TokenOf(quoted[4:min(len(quoted), 4+int(quoted[0]&15))])
		r.endpoint.failed(k, k.hash(r.endpoint.seed), &m, cause)
	}
}
