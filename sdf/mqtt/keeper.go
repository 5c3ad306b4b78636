package mqtt

import (
	"iter"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
)

// Announcer is what Things may be as well. A Broker of the same process then keeps no announcements: it asks for them when a client wants what is kept.
type Announcer interface {
	// Announced yields the names of the things that are there. It may be consumed slowly.
	Announced() iter.Seq[string]
	// Announcement is that of a thing; nil if there is none.
	Announcement(thing string) *Announcement
}

// keeper knows what of announce/ would be kept: what is published there by its client is only delivered.
type keeper struct {
	Announcer
	client *mochi.Client
}

// keepBy has a take the place of what this bus would have kept on announce/, until cancel is called.
func (i *inline) keepBy(a Announcer) (cancel func()) {
	k := &keeper{a, i.client}
	i.broker.keeper.Store(k)
	return func() { i.broker.keeper.CompareAndSwap(k, nil) }
}

// keeps says whether what c retains on topic need not be stored.
func (k *keeper) keeps(c *mochi.Client, topic string) bool {
	return k != nil && k.client == c && strings.HasPrefix(topic, topicAnnounce+"/")
}

// topics yields those that match filter, with their things.
func (k *keeper) topics(filter string) iter.Seq2[string, string] {
	return func(yield func(topic, thing string) bool) {
		if k == nil {
			return
		}
		if thing, ok := thingUnder(topicAnnounce, filter); ok && !strings.ContainsAny(filter, "+#") {
			yield(filter, thing)
			return
		}
		if !matches(filter, topicAnnounce+"/x") && !strings.HasPrefix(filter, topicAnnounce+"/") {
			return // before all things are gone through
		}
		for thing := range k.Announced() {
			if topic := under(topicAnnounce, thing); matches(filter, topic) && !yield(topic, thing) {
				return
			}
		}
	}
}

// message is what is kept of a thing, nil if that is nothing.
func (k *keeper) message(topic, thing string) *Message {
	a := k.Announcement(thing)
	if a == nil {
		return nil
	}
	payload, err := a.payload()
	if err != nil {
		return nil // of which Announce tells
	}
	return &Message{Topic: topic, Payload: payload, ContentType: TypeJSON, Retain: true}
}

// Heard says whether an announcement of thing needs to be published on bus: not if a Broker asks for those that are kept, and nobody listens now.
func Heard(bus Bus, thing string) bool {
	i, ok := bus.(*inline)
	if !ok {
		return true
	}
	k := i.broker.keeper.Load()
	return k == nil || k.client != i.client || i.heard(under(topicAnnounce, thing)) || i.heard(topicAnnounce)
}

// heard says whether somebody listens to what this bus publishes on topic.
func (i *inline) heard(topic string) bool {
	if subs := i.broker.local.subs.Load(); subs != nil {
		for _, s := range *subs {
			if s.owner != i && matches(s.filter, topic) {
				return true
			}
		}
	}
	s := i.broker.server.Topics.Subscribers(topic)
	return len(s.Subscriptions)+len(s.Shared)+len(s.InlineSubscriptions) > 0
}
