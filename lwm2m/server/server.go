package server

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"math"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// Server is an LwM2M server. Its methods may be called by many goroutines.
type Server struct {
	config   Config
	endpoint *coap.Endpoint
	seed     maphash.Seed
	verified map[string]bool // transports that know that a peer is where it says

	// A device is in byEndpoint for as long as it is registered, and in the others with it.
	byEndpoint *table[string]
	byID       *table[uint64]
	byPlace    *table[uint64]
	byToken    *table[uint64] // of its observations

	links         linkSets
	agenda        agenda
	work          work
	registrations *rate.Limiter
	unchallenged  *rate.Limiter
	followUps     *rate.Limiter
	candidates    candidates
	requests      requestIDs
	complaints    rate.Sometimes
	refusals      rate.Sometimes // told of: whoever waits for a device looks here first

	subscribers   sync.RWMutex
	subscriptions []*Subscription // replaced, never changed
}

// New makes a server, which takes over what its store remembers. It works when [Server.Run] runs.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Server{
		config: c, seed: maphash.MakeSeed(), verified: make(map[string]bool),
		byEndpoint: newTable[string](), byID: newTable[uint64](), byPlace: newTable[uint64](), byToken: newTable[uint64](),
		links:         linkSets{most: c.Limits.AllLinkBytes, sets: make(map[string]*linkSet)},
		agenda:        agenda{sooner: make(chan struct{}, 1)},
		registrations: limiter(c.Limits.Registrations), followUps: limiter(c.Limits.FollowUps),
		unchallenged: limiter(c.Limits.Challenge),
		complaints:   rate.Sometimes{Interval: 10 * time.Second}, refusals: rate.Sometimes{Interval: 10 * time.Second},
	}
	s.work.server = s
	for _, t := range c.Transports {
		s.verified[t.Name()] = t.Traits().Verified
	}
	cc := c.CoAP
	cc.Transports, cc.Handler, cc.Notifications, cc.Logger = c.Transports, s, s.notification, c.Logger
	endpoint, err := coap.New(cc)
	if err != nil {
		return nil, err
	}
	s.endpoint = endpoint
	return s, s.restore()
}

// limiter lets so many a second pass, and twice as many at once.
func limiter(perSecond float64) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(perSecond), int(math.Ceil(2*perSecond)))
}

// Run works until the context ends or a transport fails, and returns when nothing of it runs any more. It is called once.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	s.work.start(ctx)
	defer s.work.stop()
	running.Go(func() { s.agenda.run(ctx, s.look) })
	return s.endpoint.Run(ctx)
}

// Device returns what is known of a device that is registered.
func (s *Server) Device(endpoint string) (Registration, bool) {
	d := s.byEndpoint.get(endpoint)
	if d == nil {
		return Registration{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.describe(), !d.gone
}

// Devices iterates over the devices that are registered, in no order.
func (s *Server) Devices() iter.Seq[Registration] {
	return func(yield func(Registration) bool) {
		for d := range s.byEndpoint.all() {
			d.mu.Lock()
			r, gone := d.describe(), d.gone
			d.mu.Unlock()
			if !gone && !yield(r) {
				return
			}
		}
	}
}

// Stats returns what the CoAP endpoint below counts.
func (s *Server) Stats() coap.Stats { return s.endpoint.Stats() }

// Len returns how many devices are registered.
func (s *Server) Len() int { return s.byEndpoint.size() }

// Remove ends a registration and forgets all that is wanted of the device. A device that goes on is told with its next
// update that it has to register again.
func (s *Server) Remove(endpoint string) error {
	d, err := s.find(endpoint)
	if err != nil {
		return err
	}
	s.end(d, Removed) // unlocks
	return nil
}

// find returns a registered device, locked.
func (s *Server) find(endpoint string) (*device, error) {
	d := s.byEndpoint.get(endpoint)
	if d == nil {
		return nil, unknownDevice(endpoint)
	}
	d.mu.Lock()
	if d.gone {
		d.mu.Unlock()
		return nil, unknownDevice(endpoint)
	}
	return d, nil
}

// Serve answers a device's request. It is for the CoAP endpoint to call.
func (s *Server) Serve(_ context.Context, p coap.Peer, request, response *coap.Message) {
	var segments [3]string
	n := 0
	for segment := range request.All(coap.URIPath) {
		if n == len(segments) {
			return // 4.04
		}
		segments[n] = string(segment)
		n++
	}
	switch {
	case n == 1 && segments[0] == "rd":
		s.onRegister(p, request, response)
	case n == 2 && segments[0] == "rd":
		s.onRegistration(segments[1], p, request, response)
	case n == 1 && segments[0] == "dp":
		s.onSend(p, request, response)
	}
}

func (s *Server) onRegistration(id string, p coap.Peer, request, response *coap.Message) {
	switch request.Code {
	case coap.POST, coap.PUT: // PUT as in the drafts of 1.0
		s.onUpdate(id, p, request, response)
	case coap.DELETE:
		s.onDeregister(id, p, response)
	default:
		response.Code = coap.MethodNotAllowed
	}
}

// refuse answers a request with an error's code, and its cause for who debugs the device.
func refuse(response *coap.Message, err error) {
	response.Code = CodeOf(err)
	if response.Code == coap.ServiceUnavailable {
		response.SetUint(coap.MaxAge, 10+rand.Uint32N(50)) // and not all at once again
	}
	if e, ok := errors.AsType[*Error](err); ok {
		response.Payload = append(response.Payload[:0], e.Why...)
	}
}

func quoted(name string) string {
	const most = 64
	if len(name) > most {
		name = name[:most] + "..."
	}
	return strconv.Quote(name)
}
