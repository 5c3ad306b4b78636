package mqtt

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// asker is a plain MQTT client that can say what a Client can't.
type asker struct {
	bus Bus
	in  inbox
}

func newAsker(t testing.TB, bus Bus) *asker {
	return &asker{bus, subscribe(t, bus, topicReply+"/"+bus.Name()+"/x")}
}

func (a *asker) ask(t testing.TB, m Message) {
	t.Helper()
	if m.ResponseTopic == "" {
		m.ResponseTopic = topicReply + "/" + a.bus.Name() + "/x"
	}
	publish(t, a.bus, m)
}

func (a *asker) answer(t testing.TB) (*Response, *Message) {
	t.Helper()
	m := a.in.next(t)
	r, err := decodeResponse(m.Payload, m.ContentType == TypeCBOR)
	if err != nil {
		t.Fatalf("%q: %v", m.Payload, err)
	}
	return r, m
}

func TestRefusals(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, a := newShelf(), newAsker(t, b.Bus("client"))
	config := ServeConfig{Authorise: func(_ string, r *Request) error {
		if r.Operation == Delete {
			return errors.New("nobody deletes here")
		}
		return nil
	}}
	serve(t, b.Bus("gateway"), a.bus, things, config)
	get := `{"operation":"GET"}`
	for _, test := range []struct {
		name string
		m    Message
		want Code
		code string
	}{
		{"no JSON", Message{Topic: "sensor-1", Payload: []byte("GET")}, BadRequest, "request.malformed"},
		{"no payload", Message{Topic: "sensor-1"}, BadRequest, "request.malformed"},
		{"deep", Message{Topic: "sensor-1", Payload: []byte(`{"operation":"POST","data":` + strings.Repeat("[", 100_000))}, BadRequest, "request.malformed"},
		{"JSON said to be CBOR", Message{Topic: "sensor-1", Payload: []byte(get), ContentType: TypeCBOR}, BadRequest, "request.malformed"},
		{"another content type", Message{Topic: "sensor-1", Payload: []byte(get), ContentType: "text/xml"}, Unsupported, "request.content-type"},
		{"unknown device", Message{Topic: "sensor-9", Payload: []byte(get)}, NotFound, "device.unknown"},
		{"forbidden", Message{Topic: "sensor-1", Payload: []byte(`{"operation":"DELETE"}`)}, Forbidden, "request.forbidden"},
		{"a fault of the gateway", Message{Topic: property("sensor-1", "broken").String(), Payload: []byte(get)}, Internal, "gateway.internal"},
		{"late", Message{Topic: property("sensor-1", "slow").String(), Payload: []byte(get), Expiry: time.Second}, Timeout, "request.late"},
		{"cancel without observation", Message{Topic: property("sensor-1", "a").String(), Payload: []byte(`{"operation":"CANCEL"}`)}, NotFound, "observation.unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a.ask(t, test.m)
			r, m := a.answer(t)
			if r.Code != test.want || r.Error == nil || r.Error.Code != test.code || r.Error.Why == "" || r.Error.Hint == "" {
				t.Errorf("got %v, %+v", r.Code, r.Error)
			}
			if m.ResponseTopic != "" {
				t.Errorf("the answer wants an answer on %s", m.ResponseTopic)
			}
		})
	}
}

// Answers go with the gateway's rights, so where they go is not for everybody to say.
func TestResponseTopicsThatAreRefused(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, gateway, evil := newShelf(), b.Bus("gateway"), newAsker(t, b.Bus("evil"))
	serve(t, gateway, evil.bus, things, ServeConfig{})
	watch := subscribe(t, b.Bus("watch"), "#")
	request := Message{Topic: property("sensor-1", "a").String(), Payload: []byte(`{"operation":"GET"}`)}
	for _, topic := range []string{
		"announce/sensor-1", "unregister", "event/sensor-1/x", "gateway/here", "sensor-2", property("sensor-1", "b").String(), request.Topic,
		"reply/+/x", "#", "$SYS/broker", "/x", "a\x00b", strings.Repeat("a", maxTopic+1),
	} {
		m := request
		m.ResponseTopic = topic
		publish(t, evil.bus, m)
	}
	evil.ask(t, request) // a fence: what was refused would have been answered before
	if r, _ := evil.answer(t); r.Code != Content {
		t.Fatalf("got %v", r.Code)
	}
	if n := things.count(Get); n != 1 {
		t.Errorf("%d requests reached the device", n)
	}
	for len(watch) > 0 {
		if m := <-watch; m.From == "gateway" && m.Topic != "reply/evil/x" && !m.Retain {
			t.Errorf("the gateway answered on %s", m.Topic)
		}
	}
}

func TestNobodyWaitsForAnAnswer(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, bus := newShelf(), b.Bus("client")
	serve(t, b.Bus("gateway"), bus, things, ServeConfig{})
	publish(t, bus, Message{Topic: property("sensor-1", "a").String(), Payload: []byte(`{"operation":"POST","data":1}`)})
	eventually(t, "the request", func() bool { return things.count(Post) == 1 })
}

func TestOrderWithinAThing(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, a := newShelf(), newAsker(t, b.Bus("client"))
	serve(t, b.Bus("gateway"), a.bus, things, ServeConfig{})
	for i := range 20 {
		for _, thing := range []string{"sensor-1", "sensor-2"} {
			a.ask(t, Message{Topic: property(thing, "a").String(), Payload: fmt.Appendf(nil, `{"operation":"POST","data":%d}`, i)})
		}
	}
	for range 40 {
		a.answer(t)
	}
	next := map[string]int64{}
	for _, r := range things.asked {
		if r.Data != next[r.Thing] {
			t.Errorf("%s got %v, want %d", r.Thing, r.Data, next[r.Thing])
		}
		next[r.Thing]++
	}
	if things.fault != "" {
		t.Error(things.fault)
	}
}

// A device that takes its time delays nobody but those who ask it, and they are told when the line is full.
func TestSlowDevice(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, a := newShelf(), newAsker(t, b.Bus("client"))
	serve(t, b.Bus("gateway"), a.bus, things, ServeConfig{MaxPerThing: 3})
	slow := Message{Topic: property("sensor-1", "slow").String(), Payload: []byte(`{"operation":"GET"}`)}
	for range 4 {
		a.ask(t, slow)
	}
	if r, _ := a.answer(t); r.Code != Unavailable || r.Error.Code != "gateway.busy" {
		t.Errorf("got %v, %+v", r.Code, r.Error)
	}
	a.ask(t, Message{Topic: property("sensor-2", "a").String(), Payload: slow.Payload})
	if r, _ := a.answer(t); r.Code != Content {
		t.Errorf("the other device: got %v", r.Code)
	}
	close(things.slow)
	for range 3 {
		if r, _ := a.answer(t); r.Code != Content {
			t.Errorf("got %v", r.Code)
		}
	}
}

func TestOneClientCannotTakeItAll(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, greedy, other := newShelf(), newAsker(t, b.Bus("greedy")), newAsker(t, b.Bus("other"))
	serve(t, b.Bus("gateway"), other.bus, things, ServeConfig{MaxRequests: 4, MaxPerClient: 2})
	slow := Message{Topic: property("sensor-1", "slow").String(), Payload: []byte(`{"operation":"GET"}`)}
	for range 3 {
		greedy.ask(t, slow)
	}
	if r, _ := greedy.answer(t); r.Code != Unavailable {
		t.Errorf("got %v", r.Code)
	}
	other.ask(t, Message{Topic: property("sensor-2", "a").String(), Payload: slow.Payload})
	if r, _ := other.answer(t); r.Code != Content {
		t.Errorf("the other client: got %v", r.Code)
	}
	close(things.slow)
}

// Two clients hold one observation: the device is asked to stop when both have let go.
func TestSharedObservation(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things := newShelf()
	one, two := newClient(t, b.Bus("one"), ClientConfig{}), newClient(t, b.Bus("two"), ClientConfig{})
	serve(t, b.Bus("gateway"), b.Bus("watch"), things, ServeConfig{MaxObserved: 1})
	topic := property("sensor-1", "RSSI")
	_, stopOne, err := one.Observe(t.Context(), topic, nil, func(*Notification) {})
	if err != nil {
		t.Fatal(err)
	}
	_, stopTwo, err := two.Observe(t.Context(), topic, nil, func(*Notification) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := two.Observe(t.Context(), property("sensor-1", "x"), nil, func(*Notification) {}); err == nil {
		t.Error("more is observed than may be")
	}
	stopOne()
	if n := things.count(Cancel); n != 0 {
		t.Errorf("cancelled %d times while one holds it", n)
	}
	stopTwo()
	if n := things.count(Cancel); n != 1 {
		t.Errorf("cancelled %d times", n)
	}
}

func TestHoldsEndUnlessRenewed(t *testing.T) {
	now := time.Unix(1000, 0)
	var w watched
	config := ServeConfig{Now: func() time.Time { return now }, Observed: []Topic{property("sensor-1", "old")}}
	config.defaults()
	w.init(config)
	fresh := property("sensor-1", "fresh")
	if why := w.hold(fresh, "a"); why != "" {
		t.Fatal(why)
	}
	now = now.Add(45 * time.Minute)
	w.hold(fresh, "a")
	now = now.Add(30 * time.Minute)
	if got := w.expired(now); len(got) != 1 || got[0] != property("sensor-1", "old") {
		t.Errorf("got %v", got)
	}
	now = now.Add(time.Hour)
	if got := w.expired(now); len(got) != 1 || got[0] != fresh {
		t.Errorf("got %v", got)
	}
}

func TestHugeRequest(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Limits: Limits{PacketBytes: 64 << 10}})
	bus := dial(t, DialConfig{Address: address})
	_ = bus.Publish(t.Context(), &Message{Topic: "sensor-1", Payload: bytes.Repeat([]byte("a"), 1<<20)})
	other := dial(t, DialConfig{Address: address})
	in := subscribe(t, other, "x")
	eventually(t, "the broker serves on", func() bool {
		_ = bus.Publish(t.Context(), &Message{Topic: "x"})
		return len(in) > 0
	})
}

// What is observed does not keep the packets that asked for it.
func TestObservedTopicIsItsOwn(t *testing.T) {
	var w watched
	w.init(ServeConfig{MaxObserved: 2, MaxWatchers: 2, Now: time.Now})
	packet := "sensor-1/Temperature/0/Property/Sensor_Value"
	asked, err := ParseTopic(packet)
	if err != nil {
		t.Fatal(err)
	}
	if why := w.hold(asked, "a client"); why != "" {
		t.Fatal(why)
	}
	within := func(s string) bool {
		begin, at := uintptr(unsafe.Pointer(unsafe.StringData(packet))), uintptr(unsafe.Pointer(unsafe.StringData(s)))
		return at >= begin && at < begin+uintptr(len(packet))
	}
	for kept := range w.topics {
		if kept != asked || within(kept.Thing) || within(kept.Object) || within(kept.Name) {
			t.Errorf("%v is kept of %v, with the memory of its packet", kept, asked)
		}
	}
	if last, held := w.release(asked, "a client"); !last || !held {
		t.Error("what was asked for is not what is held")
	}
}
