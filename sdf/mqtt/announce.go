package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Announcement tells that a thing is there. It is published on announce, as D3.3 has it, and kept by the broker on announce/<thing>, where who comes
// later finds it. A new one of the same thing replaces it; Epoch then says whether the thing began anew.
type Announcement struct {
	Thing     string            `json:"endpoint"`
	Epoch     uint64            `json:"epoch"`              // another one after each registration that was not merely renewed
	Time      time.Time         `json:"time"`               // of the registration
	Lifetime  uint32            `json:"lifetime_s"`         // how long it lasts unless it is renewed
	Protocol  string            `json:"protocol,omitempty"` // "LwM2M 1.1"
	Sleeps    bool              `json:"sleeps,omitempty"`   // it answers only when it wakes (queue mode)
	Objects   []Offer           `json:"objects"`
	Labels    map[string]string `json:"labels,omitempty"` // of the node that stands for it: extra.resources.fhp/tinymml
	MemoryKiB struct {
		Total int64 `json:"total,omitempty"`
		Free  int64 `json:"free,omitempty"`
	} `json:"memory_KiB,omitzero"`
	Model json.RawMessage `json:"sdfModel,omitempty"` // SDF document; left out where GET on the thing is to be asked
}

// Offer is an object that a thing has.
type Offer struct {
	Name    string   `json:"name"` // of the sdfObject
	ID      uint16   `json:"id"`
	Version string   `json:"version,omitempty"`
	Labels  []uint16 `json:"labels,omitempty"` // its instances
}

// Has says whether the thing has an object of that name.
func (a *Announcement) Has(object string) bool {
	for i := range a.Objects {
		if a.Objects[i].Name == object {
			return true
		}
	}
	return false
}

// Farewell tells that a thing is gone. It is published on unregister, and takes back what announce/<thing> had.
type Farewell struct {
	Thing  string    `json:"endpoint"`
	Reason string    `json:"reason"` // "deregistered", "expired", "lost"
	Time   time.Time `json:"time"`
}

// payload is a as it is published.
func (a *Announcement) payload() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(a)
	if err == nil && len(payload) > maxAnnouncement {
		err = fmt.Errorf("%d bytes with its model, more than %d", len(payload), maxAnnouncement)
	}
	return payload, err
}

// Announce publishes a.
func Announce(ctx context.Context, bus Bus, a *Announcement) error {
	payload, err := a.payload()
	if err != nil {
		return fmt.Errorf("announce %s: %w", a.Thing, err)
	}
	kept := &Message{Topic: under(topicAnnounce, a.Thing), Payload: payload, ContentType: TypeJSON, Retain: true}
	told := &Message{Topic: topicAnnounce, Payload: payload, ContentType: TypeJSON}
	return wrap("announce "+a.Thing, bus.Publish(ctx, kept), bus.Publish(ctx, told))
}

// Unregister publishes f.
func Unregister(ctx context.Context, bus Bus, f *Farewell) error {
	payload, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("unregister %s: %w", f.Thing, err)
	}
	kept := &Message{Topic: under(topicAnnounce, f.Thing), Retain: true}
	told := &Message{Topic: topicUnregister, Payload: payload, ContentType: TypeJSON}
	own := &Message{Topic: under(topicUnregister, f.Thing), Payload: payload, ContentType: TypeJSON}
	return wrap("unregister "+f.Thing, bus.Publish(ctx, own), bus.Publish(ctx, told), bus.Publish(ctx, kept))
}

// Notify publishes what a thing told, on event/ and the topic of what it told of.
func Notify(ctx context.Context, bus Bus, n *Notification) error {
	payload, err := encodeNotification(n, false)
	if err != nil {
		return fmt.Errorf("notify of %s: %w", n.Topic, err)
	}
	m := &Message{Topic: eventTopic(n.Topic), Payload: payload, ContentType: TypeJSON, Pointer: n.Topic.Pointer()}
	return wrap("notify of "+m.Topic, bus.Publish(ctx, m))
}

func wrap(what string, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func eventTopic(t Topic) string {
	return string(t.append(append(make([]byte, 0, 64), topicEvent+"/"...)))
}

// under is prefix/<thing>.
func under(prefix, thing string) string { return prefix + "/" + Topic{Thing: thing}.String() }

// thingUnder is the thing of a topic that under made.
func thingUnder(prefix, topic string) (string, bool) {
	rest, ok := strings.CutPrefix(topic, prefix+"/")
	if !ok {
		return "", false
	}
	t, err := ParseTopic(rest)
	return t.Thing, err == nil && t.Object == ""
}

// Presence tells whether a gateway itself is there: kept by the broker on gateway/<name>, and its will (MQTT v5, 3.1.2.5) when the connection breaks.
// Things that were announced stay announced then: that nobody can ask them does not mean that they are dead.
type Presence struct {
	Name   string    `json:"gateway"`
	Online bool      `json:"online"`
	Time   time.Time `json:"time,omitzero"` // since when
}

// message is how p is published.
func (p Presence) message() *Message {
	payload, _ := json.Marshal(p) // of these fields it can't fail
	return &Message{Topic: under(topicGateway, p.Name), Payload: payload, ContentType: TypeJSON, Retain: true}
}
