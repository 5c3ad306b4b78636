package server

import (
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// device is what the server holds for a registration, and what is wanted of a device that will register again. It is
// kept small: there are a hundred thousand.
type device struct {
	endpoint string

	mu           sync.Mutex
	gone         bool // it is in no table any more
	flags        flags
	failures     uint8 // requests in a row without an answer
	asked        uint8 // how often it was asked where it is, in vain
	refused      formatSet
	version      lwm2m.Version
	binding      string
	sms          string
	id           uint64 // of the registration
	peer         coap.Peer
	links        *linkSet
	lifetime     uint32   // seconds
	registered   int64    // the rest in milliseconds since 1970
	refreshed    int64    // last registration or update
	seen         int64    // last message
	due          int64    // when the agenda looks at it next
	messages     uint32   // how many it has sent
	slot         int32    // its entry of the agenda; guarded by that, not by mu
	standing     standing // guarded by work, not by mu
	observations []*observation
	wanted       []wantedAttributes
	queue        *queue
	calls        *call // under way
}

type flags uint8

const (
	queueMode flags = 1 << iota
	awake           // a queue-mode device that was not told to be asleep
	lost
	working  // a worker has it, or it waits for one
	followUp // what follows a registration is still to be done
	again    // the worker that has it is to look at it once more
	proven   // it is where it says: it has read there what was sent to it, or its security vouches for it
)

// wantedAttributes are the notification attributes that somebody set for a path, so that they can be set again after the
// device has registered anew.
type wantedAttributes struct {
	path       lwm2m.Path
	attributes lwm2m.Attributes
}

func milliseconds(t time.Time) int64 { return t.UnixMilli() }

func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// registrationID is the text that stands in Location-Path.
func registrationID(id uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], id)
	return hex.EncodeToString(b[:])
}

func parseRegistrationID(text string) (uint64, bool) {
	var b [8]byte
	if len(text) != 16 {
		return 0, false
	}
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[:]), true
}

// expiry is when the registration ends unless the device speaks. The device is locked.
func (d *device) expiry(grace time.Duration) int64 {
	return d.refreshed + int64(d.lifetime)*1000 + grace.Milliseconds()
}

func (d *device) setQueueMode(on bool) {
	if on {
		d.flags |= queueMode
	} else {
		d.flags &^= queueMode | awake
	}
}

// asleep reports whether requests have to wait. The device is locked.
func (d *device) asleep() bool { return d.flags&(queueMode|awake) == queueMode }

func (d *device) state() State {
	switch {
	case d.asleep():
		return Sleeping
	case d.flags&lost != 0:
		return Unreachable
	default:
		return Reachable
	}
}

// describe returns what is known of the device. It is locked.
func (d *device) describe() Registration {
	return Registration{
		Endpoint: d.endpoint, ID: registrationID(d.id), Peer: d.peer, Version: d.version, Lifetime: time.Duration(d.lifetime) * time.Second,
		Binding: d.binding, SMS: d.sms, QueueMode: d.flags&queueMode != 0, State: d.state(), Registered: timeOf(d.registered), Seen: timeOf(d.seen),
		Root: d.links.root, Instances: d.links.instances, links: d.links,
	}
}
