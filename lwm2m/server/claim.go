package server

import (
	"path"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Claim is what a device says of itself when it registers: that it is the endpoint of this name.
type Claim struct {
	Endpoint string
	Peer     coap.Peer // Identity is the principal that its security vouches for, "" for nobody
	Version  lwm2m.Version
	// Instances are what it says it has, as in [Registration]; not to be changed.
	Instances []lwm2m.Path
}

// Bound authorises who comes with an identity that is the endpoint's name, and without security the endpoints whose names
// match one of the patterns (as [path.Match] has them, but * matches a slash too): nobody if there are none. It is what [Config].Authorise is if nil.
func Bound(noSec ...string) func(Claim) error {
	return func(c Claim) error {
		if c.Peer.Identity != "" {
			if c.Peer.Identity == c.Endpoint {
				return nil
			}
			return notAllowed(c, "its credential belongs to another endpoint", "register with the endpoint name that the credential was made for")
		}
		for _, pattern := range noSec {
			if matches(pattern, c.Endpoint) {
				return nil
			}
		}
		return notAllowed(c, "it comes without security, and its name is not on the list of those that may", "give the device a credential, or put its name on the list")
	}
}

// matches takes names as they are: what path.Match thinks of slashes means nothing here. No name has a NUL.
func matches(pattern, name string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", "\x00"), strings.ReplaceAll(name, "/", "\x00"))
	return ok && err == nil
}

func notAllowed(c Claim, why, hint string) error {
	return &Error{Code: "lwm2m-server.not-allowed", CoAP: coap.Forbidden, What: "register " + quoted(c.Endpoint), Why: why, Hint: hint}
}
