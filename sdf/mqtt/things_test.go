package mqtt

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shelf is a Things of two devices. A property named slow takes as long as it may, one named broken panics; what was asked is kept.
type shelf struct {
	mu    sync.Mutex
	asked []Request
	slow  chan struct{} // closed: what is slow goes on
	busy  map[string]bool
	fault string
}

func newShelf() *shelf { return &shelf{slow: make(chan struct{}), busy: map[string]bool{}} }

func (s *shelf) Known(thing string) bool { return thing == "sensor-1" || thing == "sensor-2" }

func (s *shelf) Do(ctx context.Context, r *Request) *Response {
	s.enter(r)
	defer s.leave(r)
	switch r.Name {
	case "slow":
		select {
		case <-ctx.Done():
			return nil
		case <-s.slow:
		}
	case "broken":
		panic("on purpose")
	}
	if r.Operation == Get && r.Object != "" {
		return &Response{Code: Content, Objects: One(r.Topic, r.Name)}
	}
	return &Response{Code: Changed, Data: r.Data}
}

func (s *shelf) enter(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[r.Thing] {
		s.fault = "two requests of " + r.Thing + " at once"
	}
	s.busy[r.Thing] = true
	s.asked = append(s.asked, *r)
}

func (s *shelf) leave(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy[r.Thing] = false
}

func (s *shelf) count(op Operation) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.asked {
		if s.asked[i].Operation == op {
			n++
		}
	}
	return n
}

// topics are those that a thing was asked by, in order.
func (s *shelf) topics(thing string) (all []Topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.asked {
		if s.asked[i].Thing == thing {
			all = append(all, s.asked[i].Topic)
		}
	}
	return all
}

func newClient(t testing.TB, bus Bus, config ClientConfig) *Client {
	t.Helper()
	c, err := NewClient(t.Context(), bus, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve serves things on bus, and waits until they are there for who asks on other.
func serve(t testing.TB, bus, other Bus, things Things, config ServeConfig) (stop func()) {
	t.Helper()
	stop = run(t, func(ctx context.Context) error { return Serve(ctx, bus, things, config) })
	present := make(chan Presence, 16)
	cancel, err := newClient(t, other, ClientConfig{}).Watch(t.Context(), Watcher{Gateway: func(p Presence) { present <- p }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cancel)
	for p := range present {
		if p.Online {
			return stop
		}
	}
	return stop
}

func property(thing, name string) Topic {
	return Topic{Thing: thing, Object: "Device", Label: At(0), Affordance: Property, Name: name}
}

// testThings is the binding from end to end: a gateway on one bus, its clients on another.
func testThings(t *testing.T, gateway, elsewhere Bus) {
	things := newShelf()
	stop := serve(t, gateway, elsewhere, things, ServeConfig{Name: "here"})
	t.Run("requests", func(t *testing.T) {
		for _, isCBOR := range []bool{false, true} {
			c := newClient(t, elsewhere, ClientConfig{CBOR: isCBOR})
			r, err := c.Do(t.Context(), Request{Topic: property("sensor-1", "Battery"), Operation: Get})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.Objects, One(property("sensor-1", "Battery"), "Battery")); d != "" {
				t.Error(d)
			}
			data := map[string]any{"whole": int64(1) << 60, "list": []any{"a", 0.5, true, nil}}
			if r, err = c.Do(t.Context(), Request{Topic: property("sensor-2", "x"), Operation: Post, Data: data}); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.Data, any(data)); d != "" {
				t.Error(d)
			}
		}
	})
	t.Run("what comes and goes", func(t *testing.T) { testWatch(t, gateway, elsewhere) })
	t.Run("what is told", func(t *testing.T) { testObserve(t, things, gateway, elsewhere) })
	t.Run("the gateway leaves", func(t *testing.T) {
		present := make(chan Presence, 16)
		c := newClient(t, elsewhere, ClientConfig{})
		cancel, err := c.Watch(t.Context(), Watcher{Gateway: func(p Presence) { present <- p }})
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
		stop()
		for p := range present {
			if p.Name != "here" {
				t.Errorf("gateway %q", p.Name)
			}
			if !p.Online {
				break
			}
		}
		c.config.Timeout = 50 * time.Millisecond
		if _, err := c.Do(t.Context(), Request{Topic: property("sensor-1", "x"), Operation: Get}); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("without a gateway: got %v", err)
		}
	})
}

func testWatch(t *testing.T, gateway, elsewhere Bus) {
	a := &Announcement{Thing: "urn:x/1", Epoch: 3, Lifetime: 60, Objects: []Offer{{Name: "Device", ID: 3, Labels: []uint16{0}}}}
	if err := Announce(t.Context(), gateway, a); err != nil {
		t.Fatal(err)
	}
	came, went := make(chan *Announcement, 16), make(chan *Farewell, 16)
	watch := Watcher{Announced: func(a *Announcement) { came <- a }, Gone: func(f *Farewell) { went <- f }}
	cancel, err := newClient(t, elsewhere, ClientConfig{}).Watch(t.Context(), watch)
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	if d := cmp.Diff(<-came, a); d != "" {
		t.Error(d)
	}
	if err := Unregister(t.Context(), gateway, &Farewell{Thing: "urn:x/1", Reason: "expired"}); err != nil {
		t.Fatal(err)
	}
	if f := <-went; f.Thing != "urn:x/1" || f.Reason != "expired" {
		t.Errorf("got %+v", f)
	}
	if err := Announce(t.Context(), gateway, &Announcement{Thing: "fence"}); err != nil {
		t.Fatal(err)
	}
	still := make(chan *Announcement, 4)
	late, err := newClient(t, elsewhere, ClientConfig{}).Watch(t.Context(), Watcher{Announced: func(a *Announcement) { still <- a }})
	if err != nil {
		t.Fatal(err)
	}
	defer late()
	if a := <-still; a.Thing != "fence" {
		t.Errorf("%s is announced still", a.Thing)
	}
}

func testObserve(t *testing.T, things *shelf, gateway, elsewhere Bus) {
	told, other := make(chan *Notification, 4), make(chan *Notification, 4)
	c, topic := newClient(t, elsewhere, ClientConfig{}), property("sensor-1", "RSSI")
	_, cancel, err := c.Observe(t.Context(), topic, map[string]any{"pmin": int64(1)}, func(n *Notification) { told <- n })
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Listen(t.Context(), Topic{}, func(n *Notification) { other <- n })
	if err != nil {
		t.Fatal(err)
	}
	defer all()
	n := &Notification{Topic: topic, Objects: One(topic, int64(-71)), Time: time.UnixMilli(1234567890123)}
	if err := Notify(t.Context(), gateway, n); err != nil {
		t.Fatal(err)
	}
	for _, in := range []chan *Notification{told, other} {
		if d := cmp.Diff(<-in, n); d != "" {
			t.Error(d)
		}
	}
	cancel()
	if things.count(Cancel) != 1 {
		t.Errorf("%d cancellations", things.count(Cancel))
	}
	if err := Notify(t.Context(), gateway, n); err != nil {
		t.Fatal(err)
	}
	<-other
	if len(told) != 0 || len(other) != 0 {
		t.Errorf("told %d after the end, %d twice", len(told), len(other))
	}
}
