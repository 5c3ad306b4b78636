package mqtt

import (
	"context"
	"testing"
)

// shelf is a Things of one device whose every property has the value of its name.
type shelf struct{}

func (shelf) Known(thing string) bool { return thing == "sensor-1" }

func (shelf) Do(_ context.Context, r *Request) *Response {
	return &Response{Code: Content, Objects: One(r.Topic, r.Name)}
}

func TestRequestAndResponse(t *testing.T) {
	b, err := NewBroker(BrokerConfig{Listeners: []Listener{{Address: "mqtt://127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- b.Run(ctx) }()
	go func() { ended <- Serve(ctx, b.Bus("gateway"), shelf{}, ServeConfig{}) }()
	defer func() {
		cancel()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}()
	conn, err := Dial(ctx, DialConfig{Address: "mqtt://" + b.Addresses()[0].String()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	here := make(chan bool, 1)
	for _, cbor := range []bool{false, true} {
		c, err := NewClient(ctx, conn, ClientConfig{CBOR: cbor})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Watch(ctx, Watcher{Gateway: func(p Presence) {
			select {
			case here <- p.Online:
			default:
			}
		}}); err != nil {
			t.Fatal(err)
		}
		<-here
		topic := Topic{Thing: "sensor-1", Object: "Device", Label: At(0), Affordance: Property, Name: "Battery_Level"}
		r, err := c.Do(ctx, Request{Topic: topic, Operation: Get})
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := r.Objects.Property(topic); r.Code != Content || v != "Battery_Level" {
			t.Errorf("got %v, %v", r.Code, v)
		}
		r, err = c.Do(ctx, Request{Topic: Topic{Thing: "sensor-2"}, Operation: Get})
		if err == nil || r.Code != NotFound || r.Error.Code != "device.unknown" {
			t.Errorf("of a device that is not there: got %+v, %v", r, err)
		}
	}
}
