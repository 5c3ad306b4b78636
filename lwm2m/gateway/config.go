package gateway

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/model"
	"github.com/edgehold/edgehold/lwm2m/server"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Config is what a gateway is made of. Server and Bus are all it needs.
type Config struct {
	Server *server.Server  // whose Run is its owner's to run; FirstReads is what it should read first
	Bus    mqtt.Bus        // alive for as long as the gateway runs
	Models *model.Registry // the server's; nil: [model.Core]
	// Facts keeps who was announced and what announcements say beside the registration, over restarts. A [store.Bucket] is one.
	// Nil: that is known again when a device registers again.
	Facts Facts
	// Strings has values go out as texts, as D3.3 shows them, instead of numbers and booleans.
	Strings bool
	// Embed has announcements carry the device's SDF document, which is some tens of KiB for each.
	Embed bool
	// PackageKeys, if there are any, are whose signature a device package needs to be written to /9/x/2.
	PackageKeys []ed25519.PublicKey
	// Left are the devices that an earlier process announced, as [Announced] finds them among the facts: the announcements of
	// those that are gone are taken back. What others announced at the same broker is left alone.
	Left   []string
	Serve  mqtt.ServeConfig // Observed is filled in
	Logger *slog.Logger     // nil logs nothing

	Limits Limits
}

// Limits bound what a gateway does. 0 means the default.
type Limits struct {
	Events       int           // 65,536: of the server, that were not looked at yet
	Announcers   int           // 4: announcements on their way at a time
	Notifiers    int           // 2: devices whose notifications are published at a time
	NotifierLine int           // 4,096: notifications that wait for each of them
	Retry        time.Duration // 1 s: before an announcement that failed is tried again
}

// FirstReads are what the server has to read of each device for its announcement: the instance of Device.
func FirstReads() []lwm2m.Path { return []lwm2m.Path{lwm2m.PathOf(objectDevice, 0)} }

// Facts keeps small values by a key.
type Facts interface {
	Put(id, value []byte) error
	Get(id []byte) (value []byte, found bool, err error)
	Delete(id []byte) error
}

func (c *Config) validate() error {
	var problems []error
	if c.Server == nil {
		problems = append(problems, errors.New("make a gateway: there is no server"))
	}
	if c.Bus == nil {
		problems = append(problems, errors.New("make a gateway: there is no bus"))
	}
	return errors.Join(problems...)
}

func (c Config) withDefaults() Config {
	if c.Models == nil {
		c.Models = model.Core()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits.Events = cmp.Or(c.Limits.Events, 65_536)
	c.Limits.Announcers = cmp.Or(c.Limits.Announcers, 4)
	c.Limits.Notifiers = cmp.Or(c.Limits.Notifiers, 2)
	c.Limits.NotifierLine = cmp.Or(c.Limits.NotifierLine, 4096)
	c.Limits.Retry = cmp.Or(c.Limits.Retry, time.Second)
	return c
}
