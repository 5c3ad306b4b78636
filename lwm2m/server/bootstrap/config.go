package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/model"
)

// Claim is what a device says of itself when it asks to be bootstrapped.
type Claim struct {
	Endpoint string // the credential's name if it tells none
	Peer     coap.Peer
}

// Provision is what a device gets.
type Provision struct {
	// Delete is removed first. Nil is everything, but for the device's account at this server, which it keeps (Core §6.1.7.5); an
	// empty slice is nothing.
	Delete []lwm2m.Path
	// Tree is written then, an instance at a time: those of objects 0 and 1, 2 and 21 if need be. See [Accounts].
	Tree lwm2m.Tree
	// Discovered, if it is not nil, decides in place of the above when the device has told what it has (Core §6.1.7.4).
	Discovered func(lwm2m.Links) (Provision, error)
}

// Config is what a bootstrap server is made of. Transports and Provision are all it needs; 0 of a number means its default.
type Config struct {
	Transports []coap.Transport
	// Provision says what a device gets; an error refuses it with 4.03. It is called by many goroutines.
	Provision func(context.Context, Claim) (Provision, error)
	// Done is told how a bootstrap has ended. Nil: nobody is.
	Done func(c Claim, err error)
	// InsecureKeys gives keys away over connections without security too: for a laboratory.
	InsecureKeys bool

	Models   *model.Registry // nil: [model.Core]
	Sessions int             // 256: devices being bootstrapped at a time; the next is told to come back later
	Rate     float64         // 50: requests a second; twice as many at once
	Session  time.Duration   // 4 min 7 s (EXCHANGE_LIFETIME): for all of one bootstrap
	Logger   *slog.Logger    // nil logs nothing
	// CoAP are the endpoint's reliability and limits. Its transports and handlers are the server's.
	CoAP coap.Config
}

// Validate reports everything that a server cannot be made of.
func (c *Config) Validate() error {
	var problems []error
	if len(c.Transports) == 0 {
		problems = append(problems, errors.New("configure the bootstrap server: no transport"))
	}
	if c.Provision == nil {
		problems = append(problems, errors.New("configure the bootstrap server: nothing says what devices get"))
	}
	if c.Sessions < 0 || c.Rate < 0 || c.Session < 0 {
		problems = append(problems, errors.New("configure the bootstrap server: a limit is below zero"))
	}
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	c.Sessions = cmp.Or(c.Sessions, 256)
	c.Rate = cmp.Or(c.Rate, 50)
	c.Session = cmp.Or(c.Session, 247*time.Second)
	if c.Models == nil {
		c.Models = model.Core()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}
