package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// Config is what a server is made of. Transports is all it needs.
type Config struct {
	Transports []coap.Transport
	// Authorise says whether who registers may have the name that it claims; an error refuses it with 4.03. It is called by many
	// goroutines. Nil is [Bound] without patterns: credentials only. A name that is registered is never given to another
	// principal, whatever Authorise says.
	Authorise func(Claim) error
	Models    *model.Registry // nil: [model.Core]
	Store     *store.Store    // nil: a restart forgets everything. Its Run is its owner's to run.
	// FirstReads are read of each device after it has registered, as far as it has them; see [Introduced].
	FirstReads []lwm2m.Path
	Logger     *slog.Logger // nil logs nothing

	Times  Times
	Limits Limits
	// CoAP are the endpoint's reliability and limits. Its transports and handlers are the server's.
	CoAP coap.Config
}

// Times say how long things take. 0 means the default.
type Times struct {
	Grace     time.Duration // 93 s (MAX_TRANSMIT_WAIT): how long a registration lives on after its lifetime
	Awake     time.Duration // 93 s: how long a device in queue mode is awake after its last message
	Exchange  time.Duration // 2 min: for an exchange whose context has no deadline
	Composite time.Duration // 10 s: for the answer to a composite operation, before single ones are tried
	Queue     time.Duration // 24 h: how long a request waits for a sleeping device if nothing else is said
	MaxLife   time.Duration // 10 years: a longer lifetime is cut
}

// Limits bound what a server holds and does. 0 means the default.
type Limits struct {
	Devices       int     // 200,000
	Links         int     // 1,024: of one registration
	LinkBytes     int     // 32 KiB: of one registration
	AllLinkBytes  int     // 128 MiB: of all registrations; devices that say the same share theirs
	EndpointBytes int     // 128: of a name
	Observations  int     // 64: of one device
	Attributes    int     // 64: paths of one device with attributes that are wanted
	Queue         int     // 32: requests that wait for one device
	QueueBytes    int     // 1 MiB: of one device's requests that survive a restart
	Lost          int     // 3: requests without an answer after which a device is lost
	Workers       int     // 256: devices that follow-ups and queued requests are worked off for at a time; as many of each kind of strangers beside
	FollowUps     float64 // 2,000 a second: requests after registrations (observations, attributes, first reads)
	Registrations float64 // 10,000 a second; what is beyond is told to come back later. Twice as many at once.
	// Challenge is how many registrations a second without security from unknown addresses are taken at their word; of what is
	// beyond, a device has to repeat a challenge (RFC 9175 §2.4). 0: all are, as few devices know how to, and who
	// is not where he says keeps nobody waiting anyway (see newcomer.go).
	Challenge     float64
	Verifications int // 1,024: new addresses being checked at a time
}

func (t Times) withDefaults() Times {
	const maxTransmitWait = 93 * time.Second // RFC 7252 §4.8.2
	t.Grace = cmp.Or(t.Grace, maxTransmitWait)
	t.Awake = cmp.Or(t.Awake, maxTransmitWait)
	t.Exchange = cmp.Or(t.Exchange, 2*time.Minute)
	t.Composite = cmp.Or(t.Composite, 10*time.Second)
	t.Queue = cmp.Or(t.Queue, 24*time.Hour)
	t.MaxLife = cmp.Or(t.MaxLife, 10*365*24*time.Hour)
	return t
}

func (l Limits) withDefaults() Limits {
	l.Devices = cmp.Or(l.Devices, 200_000)
	l.Links = cmp.Or(l.Links, 1024)
	l.LinkBytes = cmp.Or(l.LinkBytes, 32<<10)
	l.AllLinkBytes = cmp.Or(l.AllLinkBytes, 128<<20)
	l.EndpointBytes = cmp.Or(l.EndpointBytes, 128)
	l.Observations = cmp.Or(l.Observations, 64)
	l.Attributes = cmp.Or(l.Attributes, 64)
	l.Queue = cmp.Or(l.Queue, 32)
	l.QueueBytes = cmp.Or(l.QueueBytes, 1<<20)
	l.Lost = cmp.Or(l.Lost, 3)
	l.Workers = cmp.Or(l.Workers, 256)
	l.FollowUps = cmp.Or(l.FollowUps, 2000)
	l.Registrations = cmp.Or(l.Registrations, 10_000)
	l.Verifications = cmp.Or(l.Verifications, 1024)
	return l
}

// Validate reports everything that a server cannot be made of.
func (c *Config) Validate() error {
	var problems []error
	if len(c.Transports) == 0 {
		problems = append(problems, errors.New("configure the LwM2M server: no transport"))
	}
	for _, p := range c.FirstReads {
		if p.Depth() == 0 {
			problems = append(problems, errors.New("configure the LwM2M server: first reads of / are not possible"))
		}
	}
	l := c.Limits
	for name, n := range map[string]float64{
		"devices": float64(l.Devices), "links": float64(l.Links), "bytes of links": float64(l.LinkBytes), "bytes of all links": float64(l.AllLinkBytes), "bytes of an endpoint name": float64(l.EndpointBytes),
		"observations": float64(l.Observations), "attributes": float64(l.Attributes), "queue": float64(l.Queue), "bytes of a queue": float64(l.QueueBytes),
		"lost": float64(l.Lost), "workers": float64(l.Workers), "follow-ups": l.FollowUps, "registrations": l.Registrations, "challenge": l.Challenge, "verifications": float64(l.Verifications),
		"grace": float64(c.Times.Grace), "awake": float64(c.Times.Awake), "exchange": float64(c.Times.Exchange), "composite": float64(c.Times.Composite),
		"queue time": float64(c.Times.Queue), "longest lifetime": float64(c.Times.MaxLife),
	} {
		if n < 0 {
			problems = append(problems, fmt.Errorf("configure the LwM2M server: %s is below zero", name))
		}
	}
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	if c.Authorise == nil {
		c.Authorise = Bound()
	}
	if c.Models == nil {
		c.Models = model.Core()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Times, c.Limits = c.Times.withDefaults(), c.Limits.withDefaults()
	return c
}
