package coap

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"net/netip"
	"sync/atomic"
	"time"
)

// guard keeps who can forge addresses from using us, or using us up: it knows which peers have shown that they are where they say,
// counts what the others send, and asks them to show it when there is too much (RFC 9175 section 2, RFC 7252 section 11.3).
type guard struct {
	secret   [32]byte
	verified verified
	peers    buckets // what unverified peers send
	sources  buckets // what unverified addresses send
}

func (g *guard) init(l Limits) {
	_, _ = rand.Read(g.secret[:])
	n := powerOfTwo(l.Peers)
	g.verified = make(verified, n)
	g.peers.init(n, l.PeerRate)
	g.sources.init(n, l.AddressRate)
}

func powerOfTwo(atLeast int) int {
	n := ways
	for n < atLeast && n < 1<<22 {
		n *= 2
	}
	return n
}

// verified is a table of fixed size of the peers that have shown where they are: sets of ways entries, each the upper bits of
// a peer's hash and the time in the lower ones.
type verified []atomic.Uint64

const (
	ways         = 4
	verifiedBits = 16              // of the time, in units of verifiedUnit
	verifiedUnit = 4 * time.Minute // so that the time goes round after half a year
	verifiedTime = 24 * time.Hour
)

func verifiedAt(now time.Duration) uint64 {
	return (uint64(now/verifiedUnit) + 1) & (1<<verifiedBits - 1) // never 0 in the first half year, so that no empty entry is valid
}

func (v verified) set(hash uint64) []atomic.Uint64 {
	first := int(hash % uint64(len(v)/ways) * ways)
	return v[first : first+ways]
}

func (v verified) has(hash uint64, now time.Duration) bool {
	set := v.set(hash)
	for i := range set {
		entry := set[i].Load()
		if entry>>verifiedBits == hash>>verifiedBits && entry != 0 {
			age := (verifiedAt(now) - entry) & (1<<verifiedBits - 1)
			return time.Duration(age)*verifiedUnit < verifiedTime
		}
	}
	return false
}

// add notes a peer, in place of the one that was noted longest ago.
func (v verified) add(hash uint64, now time.Duration) {
	set, at := v.set(hash), verifiedAt(now)
	victim, oldest := 0, uint64(0)
	for i := range set {
		entry := set[i].Load()
		if entry>>verifiedBits == hash>>verifiedBits {
			victim = i
			break
		}
		age := (at - entry) & (1<<verifiedBits - 1)
		if entry == 0 {
			age = 1 << verifiedBits
		}
		if age > oldest {
			victim, oldest = i, age
		}
	}
	set[victim].Store(hash>>verifiedBits<<verifiedBits | at)
}

// buckets limit rates: each is the time at which what came so far would have come at the rate (the generic cell rate
// algorithm). Who shares a bucket by its hash shares its rate.
type buckets struct {
	times    []atomic.Int64
	interval time.Duration // between two at the rate; 0: no limit
}

// burst is what may come at once, in time at the rate.
const burst = 2 * time.Second

func (b *buckets) init(n int, rate float64) {
	if rate > 0 {
		b.times = make([]atomic.Int64, n)
		b.interval = time.Duration(math.Ceil(float64(time.Second) / rate))
	}
}

// take counts one more, and says whether it is within the rate.
func (b *buckets) take(hash uint64, now time.Duration) bool {
	if b.interval == 0 {
		return true
	}
	at := &b.times[hash%uint64(len(b.times))]
	for {
		old := at.Load()
		due := max(time.Duration(old), now)
		if due-now > burst {
			return false
		}
		if at.CompareAndSwap(old, int64(due+b.interval)) {
			return true
		}
	}
}

// isVerified says whether the job's peer has shown that it is where it says.
func (e *Endpoint) isVerified(a *arrival) bool { return e.vouches(a.key, a.hash, a.now) }

func (e *Endpoint) vouches(k key, hash uint64, now time.Duration) bool {
	return k.link.traits.Verified || k.link.traits.Reliable || e.guard.verified.has(hash, now)
}

// Verified says whether p is where it says that it is: its transport vouches for that, or it has read what was sent to it there, within
// a day.
func (e *Endpoint) Verified(p Peer) bool {
	l := e.link(p.Transport)
	if l == nil {
		return false
	}
	k := keyOf(l, p)
	return e.vouches(k, k.hash(e.seed), e.now())
}

// Challenge makes response the demand that p show where it is (RFC 9175 section 2.3). It is for a Handler; who repeats its request as it
// is told to is verified when the Handler gets that.
func (e *Endpoint) Challenge(p Peer, response *Message) {
	response.Code = Unauthorized
	response.SetOpaque(Echo, e.guard.echo(keyOf(e.link(p.Transport), p), e.now()))
}

// admits says whether a message is within its source's rate, verified peers always.
func (e *Endpoint) admits(a *arrival) bool {
	if a.verified = e.isVerified(a); a.verified {
		return true
	}
	source := key{remote: netip.AddrPortFrom(a.key.remote.Addr(), 0)}
	if e.guard.peers.take(a.hash, a.now) && e.guard.sources.take(source.hash(e.seed), a.now) {
		return true
	}
	e.counts.limited.Add(1)
	return false
}

// answerLimit is how long the answer to a request may be.
func (e *Endpoint) answerLimit(j *job) int {
	limit := j.key.link.maxMessage()
	if j.verified || e.limits.Amplification < 0 || e.isVerified(&j.arrival) {
		return limit
	}
	return min(limit, j.size*e.limits.Amplification)
}

// challenge replaces the job's response by the demand to show where the peer is.
func (j *job) challenge() {
	j.endpoint.counts.challenged.Add(1)
	j.refuse(Unauthorized)
	j.response.SetOpaque(Echo, j.endpoint.guard.echo(j.key, j.now))
	j.challenged = true
}

// challengeNow answers a request by a challenge alone, and forgets it.
func (j *job) challengeNow() {
	j.state.Store(jobPending)
	j.timed = false
	j.challenge()
	j.answer(block{})
	j.key.link.history.forget(j.ticket)
}

// echoTime is how long a challenge may be answered.
const echoTime = time.Minute

// echo is the value that only who receives at k's address can know: the time, and its code with the address.
func (g *guard) echo(k key, now time.Duration) []byte {
	value := binary.BigEndian.AppendUint32(nil, uint32(now/time.Second))
	return append(value, g.code(k, value)...)
}

func (g *guard) code(k key, now []byte) []byte {
	mac := hmac.New(sha256.New, g.secret[:])
	mac.Write(now)
	address, _ := k.remote.MarshalBinary() // never fails
	mac.Write(address)
	return mac.Sum(nil)[:8]
}

// shows says whether a request answers a challenge, after which its peer is verified.
func (e *Endpoint) shows(a *arrival) bool {
	value, ok := a.message.Opaque(Echo)
	if !ok || len(value) != 12 {
		return false
	}
	age := a.now/time.Second - time.Duration(binary.BigEndian.Uint32(value))
	if age < 0 || age > echoTime/time.Second || !hmac.Equal(value[4:], e.guard.code(a.key, value[:4])) {
		return false
	}
	e.guard.verified.add(a.hash, a.now)
	a.verified = true
	return true
}

// pressed says whether so much waits that unverified peers are challenged.
func (e *Endpoint) pressed() bool {
	return e.limits.Challenge >= 0 && e.workers.depth() > e.limits.Challenge
}
