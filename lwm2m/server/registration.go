package server

import (
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// State says whether a device can be asked now.
type State uint8

// States of a device.
const (
	Reachable   State = iota // as far as is known
	Sleeping                 // in queue mode, and not heard of for a while: requests wait
	Unreachable              // let several requests go unanswered
)

// String returns the state's name.
func (s State) String() string { return [...]string{"reachable", "sleeping", "unreachable"}[s%3] }

// Registration is what is known of a device that is registered.
type Registration struct {
	Endpoint   string
	ID         string // new with each registration, the same over updates and restarts of the server
	Peer       coap.Peer
	Version    lwm2m.Version
	Lifetime   time.Duration
	Binding    string // as the device says it, "U" if it does not
	SMS        string // its number, if it has told one
	QueueMode  bool
	State      State
	Registered time.Time
	Seen       time.Time // its last message; zero: none since the server started
	Root       string    // where its tree begins: "" or a path such as "/lwm2m"
	// Instances are what it has: instances of objects, and objects that have none, in order. Devices share it: not to be changed.
	Instances []lwm2m.Path

	links *linkSet
}

// ObjectVersion returns the version of an object as the device told it, the zero one if it told none.
func (r Registration) ObjectVersion(object uint16) lwm2m.Version { return r.links.version(object) }

// Has reports whether the device has an object or an instance; of what is deeper nothing is known, and the instance decides.
func (r Registration) Has(p lwm2m.Path) bool { return r.links.has(p) }

// Links returns what the device has as it told it.
func (r Registration) Links() lwm2m.Links { return r.links.parse() }
