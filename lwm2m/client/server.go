package client

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// State is where the device stands with a server.
type State uint32

const (
	Waiting    State = iota // for its turn, or for the next attempt
	Connecting              // reaching the server
	Registering
	Registered
	Disabled // by the server, for a while
	Stopped
)

var stateNames = [...]string{"waiting", "connecting", "registering", "registered", "disabled", "stopped"}

func (s State) String() string { return stateNames[s] }

// server is what the device keeps for one server. Its fields belong to the engine's lock but for those that say otherwise.
type server struct {
	short   uint16
	account Account

	attributes   attributes
	observations []*observed
	connection   *connection // nil while there is none
	notifying    bool        // a confirmable notification is on its way
	location     string      // of the registration, a path; empty without one
	expires      time.Time   // of the registration, of run alone
	version      lwm2m.Version
	settled      chan struct{} // closed when the first registration has ended, one way or the other
	blocked      bool          // nobody registers after this one has failed (resource 15)

	state   atomic.Uint32
	events  atomic.Uint32 // bits of event
	wake    chan struct{} // one slot: events has changed
	backoff backoff       // of run alone
	random  *rand.Rand    // of run alone
}

// event is something that happened to a server's account and that its run has to act on.
type event uint32

const (
	eventUpdate    event = 1 << iota // tell the server now: it asked for it, or lifetime or binding has changed
	eventObjects                     // the list of objects and instances has changed
	eventReconnect                   // the way to the server has changed
	eventDisable                     // the server wants to be left alone
	eventLost                        // the server does not answer
)

func newServer(a Account) *server {
	return &server{
		short: a.Short, account: a, version: lwm2m.V1_2, wake: make(chan struct{}, 1), settled: make(chan struct{}),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
}

// tell notes an event and wakes the server's run.
func (s *server) tell(e event) {
	s.events.Or(uint32(e))
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns the events since the last call.
func (s *server) take() event { return event(s.events.Swap(0)) }

func (s *server) now() State        { return State(s.state.Load()) }
func (s *server) become(next State) { s.state.Store(uint32(next)) }

// settle says that the first registration has ended.
func (s *server) settle() {
	select {
	case <-s.settled:
	default:
		close(s.settled)
	}
}

// cancel ends the observation of a token.
func (s *server) cancel(token coap.Token) {
	s.observations = slices.DeleteFunc(s.observations, func(o *observed) bool { return o.token == token })
}

// serverValue reads a resource of the instance of the Server object that belongs to a server.
func (c *Client) serverValue(s *server, resource uint16) (lwm2m.Value, bool) {
	p, found := c.accounts.find(s.short)
	if !found {
		return lwm2m.Value{}, false
	}
	v := c.accounts.servers.Value(p.Child(resource))
	return v, !v.IsNone()
}

// serverSeconds is a resource of the Server object as a duration; standard if it is not there.
func (c *Client) serverSeconds(s *server, resource uint16, standard time.Duration) time.Duration {
	v, found := c.serverValue(s, resource)
	if !found {
		return standard
	}
	return time.Duration(min(max(v.Integer(), 0), maxLifetime)) * time.Second
}

func (c *Client) serverFlag(s *server, resource uint16, standard bool) bool {
	v, found := c.serverValue(s, resource)
	if !found {
		return standard
	}
	return v.Boolean()
}
