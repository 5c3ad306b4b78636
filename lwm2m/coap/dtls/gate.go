package dtls

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// gate decides which ClientHellos are worth a handshake's state. Up to a rate all are, and pion checks their cookie. Beyond
// that, as in a flood, whoever knocks must first show that it is where it says, by a cookie that costs us no state (RFC 6347
// section 4.2.1). That handshake can't go on, for pion will not know our cookie; it is refused at once, and the next one from the
// address is let in.
type gate struct {
	rate float64 // handshakes in a second

	mu      sync.Mutex
	tokens  float64
	filled  time.Time
	proven  map[netip.AddrPort]time.Time
	secrets [2]secret // the one that cookies are made with, and the one before
	changed time.Time // when the first of them was made
}

type secret [32]byte

const (
	cookieSize    = 16
	maxProven     = 4096
	provenFor     = 2 * time.Minute
	secretFor     = 5 * time.Minute // is how long cookies are made with one, and at least how long one of them is good
	gateBurst     = 2               // seconds of its rate that may come at once
	verifyRequest = 3               // HelloVerifyRequest
)

func newGate(rate float64) *gate {
	return &gate{rate: rate, tokens: gateBurst * rate, proven: map[netip.AddrPort]time.Time{}}
}

// admit reports whether a ClientHello may begin a handshake; if not, it returns what to answer.
func (g *gate) admit(from netip.AddrPort, datagram []byte, now time.Time) (answer []byte, ok bool) {
	if g.spend(from, now) {
		return nil, true
	}
	r, _, _ := nextRecord(datagram, idSize)
	random, cookie, ok := helloCookie(r.body)
	if !ok {
		return nil, false
	}
	current, former := g.secretsAt(now)
	own := current.cookie(from, random)
	if !hmac.Equal(own, cookie) && !hmac.Equal(former.cookie(from, random), cookie) {
		return verify(r, own), false
	}
	g.prove(from, now)
	return appendPlain(nil, typeAlert, r.sequence, []byte{alertFatal, alertHandshakeFailure}), false
}

// spend takes a token, or what from has proven.
func (g *gate) spend(from netip.AddrPort, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at, ok := g.proven[from]; ok {
		delete(g.proven, from)
		if now.Sub(at) < provenFor {
			return true
		}
	}
	g.tokens = min(g.tokens+now.Sub(g.filled).Seconds()*g.rate, gateBurst*g.rate)
	g.filled = now
	if g.tokens < 1 {
		return false
	}
	g.tokens--
	return true
}

func (g *gate) prove(from netip.AddrPort, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for old := range g.proven {
		if len(g.proven) < maxProven {
			break
		}
		delete(g.proven, old)
	}
	g.proven[from] = now
}

// secretsAt returns the secret that cookies are made with now, and the one whose cookies are good besides. They change, so that nobody
// can collect cookies from many addresses to use them all at once (RFC 6347 section 4.2.1).
func (g *gate) secretsAt(now time.Time) (current, former secret) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if age := now.Sub(g.changed); age >= secretFor {
		g.secrets[1] = g.secrets[0]
		if age >= 2*secretFor {
			rand.Read(g.secrets[1][:])
		}
		rand.Read(g.secrets[0][:])
		g.changed = now
	}
	return g.secrets[0], g.secrets[1]
}

// cookie is what shows that a ClientHello's sender receives what is sent to where it says it is.
func (s *secret) cookie(from netip.AddrPort, random []byte) []byte {
	mac := hmac.New(sha256.New, s[:])
	address := from.Addr().As16()
	mac.Write(address[:])
	mac.Write(binary.BigEndian.AppendUint16(nil, from.Port()))
	mac.Write(random)
	return mac.Sum(nil)[:cookieSize]
}

// helloCookie finds random and cookie in a ClientHello that is whole, RFC 6347 section 4.2.1.
func helloCookie(message []byte) (random, cookie []byte, ok bool) {
	d := decoder{b: message}
	d.take(handshakeHeaderSize + 2)
	random = d.take(randomSize)
	d.take(int(d.byte())) // session
	cookie = d.take(int(d.byte()))
	return random, cookie, !d.failed
}

// verify returns the HelloVerifyRequest to a record with a ClientHello. It is shorter than that, so that nobody is flooded by us.
func verify(hello record, cookie []byte) []byte {
	size := byte(3 + len(cookie))
	body := []byte{verifyRequest, 0, 0, size, hello.body[4], hello.body[5], 0, 0, 0, 0, 0, size, version12 >> 8, version12 & 0xff, byte(len(cookie))}
	return appendPlain(nil, typeHandshake, hello.sequence, append(body, cookie...))
}

// appendPlain appends an unprotected record.
func appendPlain(dst []byte, kind byte, sequence uint64, body []byte) []byte {
	dst = appendHeader(dst, kind, 0, sequence, nil)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(body)))
	return append(dst, body...)
}
