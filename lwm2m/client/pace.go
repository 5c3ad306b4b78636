package client

import (
	"math/rand/v2"
	"time"
)

// The paces of registration. MAX_TRANSMIT_WAIT is RFC 7252 section 4.8.2: how long one confirmable exchange may take.
const (
	maxTransmitWait = 93 * time.Second
	exchangeLife    = 247 * time.Second

	firstRetry = 2 * time.Second
	lastRetry  = 5 * time.Minute
)

// backoff is the wait between attempts of one communication sequence and between sequences (resources 17 to 20 of the Server object).
// The zero value is ours: from firstRetry, doubling, to lastRetry, for ever.
type backoff struct {
	retries        int           // attempts in a sequence; 0 for no end
	first          time.Duration // before the second attempt
	sequenceDelay  time.Duration
	sequences      int // 0 for no end
	attempt, round int
}

// next returns the wait before the next attempt; false when the last sequence has failed.
func (b *backoff) next(random *rand.Rand) (wait time.Duration, more bool) {
	b.attempt++
	if b.retries > 0 && b.attempt >= b.retries {
		b.attempt = 0
		b.round++
		if b.sequences > 0 && b.round >= b.sequences {
			b.round = 0
			return jitter(b.sequenceDelay, random), false
		}
		return jitter(b.sequenceDelay, random), true
	}
	first, last := b.first, time.Duration(1<<62)
	if first == 0 {
		first, last = firstRetry, lastRetry
	}
	return jitter(min(first<<min(b.attempt-1, 16), last), random), true
}

// reset is called after a success.
func (b *backoff) reset() { b.attempt, b.round = 0, 0 }

// jitter spreads a wait over 1 to 1.5 times its length, so that devices that lost the server together do not come back together. Never
// less than asked for: a Max-Age or a resource of the Server object is a promise.
func jitter(d time.Duration, random *rand.Rand) time.Duration {
	if d <= 1 {
		return d
	}
	return d + time.Duration(random.Int64N(int64(d)/2+1))
}

// updateAfter is when to update a registration of the given lifetime: early enough that a whole exchange of retransmissions ends before
// the server forgets the device, in the last half of the lifetime, and spread, so that a fleet that registered together drifts apart. No
// lifetime (0) means that the registration does not end.
func updateAfter(lifetime time.Duration, random *rand.Rand) time.Duration {
	if lifetime <= 0 {
		return 0
	}
	latest := max(lifetime-maxTransmitWait, lifetime*2/3)
	earliest := latest * 9 / 10
	return earliest + time.Duration(random.Int64N(int64(latest-earliest)+1))
}
