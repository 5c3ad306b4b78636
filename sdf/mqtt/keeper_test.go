package mqtt

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"sync"
	"testing"
)

// roster is things that know who is there.
type roster struct {
	*shelf
	mu    sync.Mutex
	there []string
}

func (r *roster) Announced() iter.Seq[string] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Values(slices.Clone(r.there))
}

func (r *roster) Announcement(thing string) *Announcement {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.there, thing) {
		return nil
	}
	return &Announcement{Thing: thing, Epoch: 7}
}

func (r *roster) set(there ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.there = there
}

// told are the things of the messages that came, and ends at the one that marks the end.
func (in inbox) told(t *testing.T) (things []string) {
	t.Helper()
	for {
		m := in.next(t)
		if m.Topic == "announce/end" {
			slices.Sort(things)
			return things
		}
		var a Announcement
		if err := json.Unmarshal(m.Payload, &a); err != nil || m.Topic != under(topicAnnounce, a.Thing) || a.Epoch != 7 || m.ContentType != TypeJSON {
			t.Errorf("%s is %q of %s (%v)", m.Topic, m.Payload, m.ContentType, err)
		}
		things = append(things, a.Thing)
	}
}

// A broker beside a gateway that knows who is there keeps no announcements, and clients see no difference.
func TestAnnouncementsAreNotKept(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{
		Access: []User{{Name: "all", Password: HashPassword("p")}, {Name: "one", Password: HashPassword("p"), Things: []string{"sensor-1"}}},
	})
	bus := b.Bus("gateway")
	r := &roster{shelf: newShelf()}
	r.set("sensor-1", "sensor-2", "a b/+")
	ready := make(chan struct{})
	run(t, func(ctx context.Context) error {
		return Serve(ctx, bus, r, ServeConfig{Ready: func() { close(ready) }})
	})
	<-ready
	if Heard(bus, "sensor-1") {
		t.Error("an announcement is heard, and nobody listens")
	}
	for name, row := range map[string]struct {
		user, filter string
		want         []string
	}{
		"all":                       {"all", "announce/+", []string{"a b/+", "sensor-1", "sensor-2"}},
		"all below":                 {"all", "announce/#", []string{"a b/+", "sensor-1", "sensor-2"}},
		"all in two levels":         {"all", "+/+", []string{"a b/+", "sensor-1", "sensor-2"}},
		"one":                       {"all", "announce/sensor-2", []string{"sensor-2"}},
		"one with a name to escape": {"all", under(topicAnnounce, "a b/+"), []string{"a b/+"}},
		"one that there is not":     {"all", "announce/sensor-3", nil},
		"deeper":                    {"all", "announce/+/x", nil},
		"others":                    {"all", "unregister/+", nil},
		"what one may hear":         {"one", "announce/+", []string{"sensor-1"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, DialConfig{Address: address, User: row.user, Password: "p"})
			in := make(inbox, 64)
			if _, err := c.Subscribe(t.Context(), row.filter, func(m *Message) {
				if _, ok := thingUnder(topicAnnounce, m.Topic); ok {
					in <- m
				}
			}); err != nil {
				t.Fatal(err)
			}
			// what comes for a filter that it subscribes to after that comes after that
			if _, err := c.Subscribe(t.Context(), "reply/"+c.Name()+"/end", func(*Message) { in <- &Message{Topic: "announce/end"} }); err != nil {
				t.Fatal(err)
			}
			publish(t, bus, Message{Topic: "reply/" + c.Name() + "/end"})
			if got := in.told(t); !slices.Equal(got, row.want) {
				t.Errorf("%s brings %q, want %q", row.filter, got, row.want)
			}
		})
	}
	listener := subscribe(t, dial(t, DialConfig{Address: address, User: "all", Password: "p"}), "announce/+")
	for range 3 {
		listener.next(t)
	}
	if !Heard(bus, "sensor-4") {
		t.Error("an announcement is not heard by who listens")
	}
	r.set("sensor-4")
	if err := Announce(t.Context(), bus, r.Announcement("sensor-4")); err != nil {
		t.Fatal(err)
	}
	if m := listener.next(t); m.Topic != "announce/sensor-4" || len(m.Payload) == 0 {
		t.Errorf("%s is told", m.Topic)
	}
	if err := Unregister(t.Context(), bus, &Farewell{Thing: "sensor-4"}); err != nil {
		t.Fatal(err)
	}
	if m := listener.next(t); m.Topic != "announce/sensor-4" || len(m.Payload) > 0 {
		t.Errorf("%s is taken back with %q", m.Topic, m.Payload)
	}
	if kept := b.server.Topics.Messages("announce/#"); len(kept) > 0 {
		t.Errorf("the broker keeps %d announcements", len(kept))
	}
}

// Without such a gateway they are kept.
func TestAnnouncementsAreKept(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	bus := b.Bus("gateway")
	if !Heard(bus, "sensor-1") {
		t.Error("an announcement that is to be kept need not be published")
	}
	if err := Announce(t.Context(), bus, &Announcement{Thing: "sensor-1", Epoch: 7}); err != nil {
		t.Fatal(err)
	}
	if m := subscribe(t, b.Bus("other"), "announce/+").next(t); m.Topic != "announce/sensor-1" {
		t.Errorf("%s is kept", m.Topic)
	}
}
