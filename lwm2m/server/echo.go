package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// errChallenge says that a device has to show first that it is where it says.
var errChallenge = errors.New("show that you are there")

const echoLife = time.Minute // how long the answer to a challenge is taken

// echo makes and checks challenges (RFC 9175 §2.3). It remembers none: a challenge tells its time and proves who made it, for whom.
type echo struct{ key [32]byte }

func newEcho() echo {
	var e echo
	_, _ = rand.Read(e.key[:]) // which does not fail
	return e
}

// value is the challenge for a peer at a time.
func (e *echo) value(p coap.Peer, seconds uint32) []byte {
	mac := hmac.New(sha256.New, e.key[:])
	stamp := binary.BigEndian.AppendUint32(nil, seconds)
	address, _ := p.Remote.MarshalBinary() // which does not fail
	_, _ = mac.Write(stamp)
	_, _ = mac.Write([]byte(p.Transport + "\x00"))
	_, _ = mac.Write(address)
	return mac.Sum(stamp)[:len(stamp)+8]
}

func (e *echo) challenge(p coap.Peer, now time.Time) []byte { return e.value(p, uint32(now.Unix())) }

// answered reports whether a request has the answer to a challenge of its peer.
func (e *echo) answered(p coap.Peer, request *coap.Message, now time.Time) bool {
	value, ok := request.Opaque(coap.Echo)
	if !ok || len(value) < 4 {
		return false
	}
	seconds := binary.BigEndian.Uint32(value)
	age := time.Duration(uint32(now.Unix())-seconds) * time.Second
	return age <= echoLife && hmac.Equal(value, e.value(p, seconds))
}

// unproven reports whether a registration has to be challenged: one without security from an address that nothing is known of,
// when there are many.
func (s *Server) unproven(p coap.Peer, request *coap.Message) bool {
	return s.config.Limits.Challenge > 0 && p.Identity == "" && !s.verified[p.Transport] && s.byPlace.get(s.place(p)) == nil &&
		!s.echo.answered(p, request, time.Now()) && !s.unchallenged.Allow()
}
