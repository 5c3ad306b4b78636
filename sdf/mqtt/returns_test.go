package mqtt

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// gauge is a thing whose property is what it is, and tells nobody.
type gauge struct{ value atomic.Int64 }

func (g *gauge) Known(string) bool { return true }

func (g *gauge) Do(_ context.Context, r *Request) *Response {
	return &Response{Code: Content, Objects: One(r.Topic, g.value.Load())}
}

// What changed while a gateway was away its observers hear when it is back, and nothing where nothing has changed.
func TestObserversHearWhatTheyMissed(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	var g gauge
	serve(t, b.Bus("gateway"), b.Bus("watch"), &g, ServeConfig{Name: "one"})
	c := newClient(t, b.Bus("observer"), ClientConfig{})
	told := make(chan any, 16)
	topic := property("sensor-1", "RSSI")
	_, cancel, err := c.Observe(t.Context(), topic, nil, func(n *Notification) {
		v, _ := n.Objects.Property(topic)
		told <- v
	})
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	knowsAGateway(t, c)
	for i, value := range []int64{0, 7} { // unchanged, then changed
		g.value.Store(value)
		p := Presence{Name: "one", Online: true, Time: time.Now().Add(time.Duration(i+1) * time.Second)}
		publish(t, b.Bus("again"), *p.message())
	}
	select {
	case v := <-told:
		if v != int64(7) {
			t.Errorf("told %v", v)
		}
	case <-time.After(patience):
		t.Error("nothing is told")
	}
	if len(told) > 0 {
		t.Errorf("told %v too", <-told)
	}
}

// Who asked a gateway that was then killed hears of it when it is back, not when the time is up.
func TestRequestsOfAGatewayThatWasKilled(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	publish(t, b.Bus("gateway"), *Presence{Name: "one", Online: true, Time: time.Unix(1, 0)}.message())
	c := newClient(t, b.Bus("asker"), ClientConfig{Timeout: time.Hour})
	failed := make(chan error, 1)
	go func() {
		_, err := c.Do(t.Context(), Request{Operation: Get, Topic: property("sensor-1", "RSSI")})
		failed <- err
	}()
	knowsAGateway(t, c)
	publish(t, b.Bus("again"), *Presence{Name: "one", Online: true, Time: time.Unix(2, 0)}.message())
	if e, ok := errors.AsType[*Error](<-failed); !ok || e.Code != "gateway.started-anew" {
		t.Errorf("got %v", e)
	}
}

func knowsAGateway(t *testing.T, c *Client) {
	t.Helper()
	eventually(t, "it knows the gateway", func() bool {
		c.returns.mu.Lock()
		defer c.returns.mu.Unlock()
		return len(c.returns.since) == 1
	})
}
