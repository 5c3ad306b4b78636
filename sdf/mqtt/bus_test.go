package mqtt

import (
	"strconv"
	"testing"
	"time"
)

// TestBus holds each kind of Bus to the contract.
func TestBus(t *testing.T) {
	t.Run("inside", func(t *testing.T) {
		b, _ := startBroker(t, BrokerConfig{})
		testBus(t, func(name string) Bus { return b.Bus(name) })
	})
	t.Run("built in, over TCP", func(t *testing.T) {
		_, address := startBroker(t, BrokerConfig{})
		testBus(t, func(name string) Bus { return dial(t, DialConfig{Address: address, Name: name}) })
	})
	t.Run("built in, over a unix socket", func(t *testing.T) {
		address := "unix://" + t.TempDir() + "/mqtt.sock"
		startBroker(t, BrokerConfig{Listeners: []Listener{{Address: address}}})
		testBus(t, func(name string) Bus { return dial(t, DialConfig{Address: address, Name: name}) })
	})
	t.Run("mosquitto", func(t *testing.T) {
		address, _ := startMosquitto(t)
		testBus(t, func(name string) Bus { return dial(t, DialConfig{Address: address, Name: name}) })
	})
}

func testBus(t *testing.T, open func(name string) Bus) {
	a, b := open("a"), open("b")
	if a.Name() != "a" || b.Name() != "b" {
		t.Errorf("names: got %q and %q", a.Name(), b.Name())
	}
	t.Run("all parts of a message arrive", func(t *testing.T) {
		in := subscribe(t, b, "parts/+")
		publish(t, a, Message{
			Topic: "parts/x", Payload: []byte("text"), ContentType: TypeCBOR, ResponseTopic: "reply/a/1", Correlation: []byte{0, 1, 255},
			Pointer: "#/sdfObject/X", Expiry: 20 * time.Second,
		})
		m := in.next(t)
		if m.Topic != "parts/x" || string(m.Payload) != "text" || m.ContentType != TypeCBOR || m.ResponseTopic != "reply/a/1" ||
			string(m.Correlation) != "\x00\x01\xff" || m.Pointer != "#/sdfObject/X" || m.Expiry > 20*time.Second || m.Expiry < 15*time.Second {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("in order", func(t *testing.T) {
		in := subscribe(t, b, "order")
		for i := range 200 {
			publish(t, a, Message{Topic: "order", Payload: []byte(strconv.Itoa(i))})
		}
		for i := range 200 {
			if got := string(in.next(t).Payload); got != strconv.Itoa(i) {
				t.Fatalf("got %s, want %d", got, i)
			}
		}
	})
	t.Run("nobody hears itself", func(t *testing.T) {
		mine, others := subscribe(t, a, "own/#"), subscribe(t, b, "own/#")
		publish(t, a, Message{Topic: "own/1"})
		others.next(t)
		publish(t, b, Message{Topic: "own/2"})
		if got := mine.next(t).Topic; got != "own/2" {
			t.Errorf("it heard %s", got)
		}
	})
	t.Run("what is retained comes first, until it is taken back", func(t *testing.T) {
		early := subscribe(t, b, "kept/1")
		publish(t, a, Message{Topic: "kept/1", Payload: []byte("old"), Retain: true})
		publish(t, a, Message{Topic: "kept/1", Payload: []byte("new"), Retain: true})
		early.next(t)
		early.next(t) // a broker may acknowledge before it has delivered
		in := subscribe(t, b, "kept/+")
		if m := in.next(t); string(m.Payload) != "new" || !m.Retain {
			t.Errorf("got %+v", m)
		}
		publish(t, a, Message{Topic: "kept/1", Retain: true})
		if m := in.next(t); len(m.Payload) != 0 {
			t.Errorf("got %+v", m)
		}
		publish(t, a, Message{Topic: "kept/2", Payload: []byte("x"), Retain: true})
		again := subscribe(t, open("c"), "kept/#")
		if m := again.next(t); m.Topic != "kept/2" {
			t.Errorf("got %+v", m)
		}
	})
	t.Run("wildcards", func(t *testing.T) {
		one, all := subscribe(t, b, "wild/+/x"), subscribe(t, b, "wilder/#")
		publish(t, a, Message{Topic: "wild/1/2/x"})
		publish(t, a, Message{Topic: "wild/1/x"})
		publish(t, a, Message{Topic: "wilder"})
		if got := one.next(t).Topic; got != "wild/1/x" {
			t.Errorf("got %s", got)
		}
		if got := all.next(t).Topic; got != "wilder" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("after cancel nothing comes", func(t *testing.T) {
		in := make(inbox, 10)
		cancel, err := b.Subscribe(t.Context(), "ended", func(m *Message) { in <- m })
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		fence := subscribe(t, b, "fence")
		publish(t, a, Message{Topic: "ended"})
		publish(t, a, Message{Topic: "fence"})
		fence.next(t)
		if len(in) > 0 {
			t.Errorf("%s came", (<-in).Topic)
		}
	})
	t.Run("a filter that is none", func(t *testing.T) {
		if _, err := b.Subscribe(t.Context(), "a/#/b", func(*Message) {}); err == nil {
			t.Error("it is taken")
		}
	})
	t.Run("things and clients", func(t *testing.T) { testThings(t, a, b) })
}

func TestFilters(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "a/b", false}, {"a/b", "a", false},
		{"+", "a", true}, {"+", "a/b", false}, {"+/+", "a/b", true}, {"+/b", "a/b", true}, {"a/+", "a/", true}, {"a/+", "a", false},
		{"#", "a/b/c", true}, {"a/#", "a", true}, {"a/#", "a/b/c", true}, {"a/#", "ab", false}, {"+/#", "a", true},
		{"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true},
	} {
		if got := matches(test.filter, test.topic); got != test.want {
			t.Errorf("%s with %s: got %v", test.filter, test.topic, got)
		}
	}
}
