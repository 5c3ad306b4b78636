package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// large is an announcement that has so much of something.
func large(change func(*Announcement)) *Announcement {
	a := &Announcement{Thing: "sensor-1", Protocol: "LwM2M 1.1", Objects: []Offer{{Name: "Device", ID: 3, Labels: []uint16{0}}}, Labels: map[string]string{"site": "roof"}}
	change(a)
	return a
}

var announcements = []struct {
	name string
	a    *Announcement
	ok   bool
}{
	{"usual", large(func(*Announcement) {}), true},
	{"labels", large(func(a *Announcement) { a.Labels = labels(maxLabels) }), true},
	{"too many labels", large(func(a *Announcement) { a.Labels = labels(maxLabels + 1) }), false},
	{"a long label", large(func(a *Announcement) { a.Labels[strings.Repeat("k", maxLabelKey)] = strings.Repeat("v", maxWord) }), true},
	{"too long a label", large(func(a *Announcement) { a.Labels[strings.Repeat("k", maxLabelKey+1)] = "v" }), false},
	{"too long a value", large(func(a *Announcement) { a.Labels["k"] = strings.Repeat("v", maxWord+1) }), false},
	{"too many objects", large(func(a *Announcement) { a.Objects = make([]Offer, maxOffers+1) }), false},
	{"too many instances", large(func(a *Announcement) {
		a.Objects = []Offer{{Labels: make([]uint16, maxInstances)}, {Labels: []uint16{1}}}
	}), false},
	{"too long a name", large(func(a *Announcement) { a.Objects[0].Name = strings.Repeat("n", maxSegment+1) }), false},
	{"too long a version", large(func(a *Announcement) { a.Objects[0].Version = strings.Repeat("n", maxWord+1) }), false},
	{"too long a protocol", large(func(a *Announcement) { a.Protocol = strings.Repeat("n", maxWord+1) }), false},
	{"a model", large(func(a *Announcement) { a.Model = json.RawMessage(`{"info":{}}`) }), true},
	{"too large a model", large(func(a *Announcement) { a.Model = json.RawMessage(`"` + strings.Repeat("m", maxAnnouncement) + `"`) }), false},
}

func labels(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		m[fmt.Sprint("label", i)] = "x"
	}
	return m
}

// Whoever watches gets nothing that is larger than it may be, and everything else; what a gateway announces is within the bounds.
func TestAnnouncementsHaveBounds(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	bus := b.Bus("gateway")
	c := newClient(t, b.Bus("watch"), ClientConfig{})
	var got []string
	cancel, err := c.Watch(t.Context(), Watcher{Announced: func(a *Announcement) { got = append(got, a.Thing) }})
	if err != nil {
		t.Fatal(err)
	}
	defer cancel()
	var want []string
	for i, test := range announcements {
		thing := fmt.Sprint("thing-", i)
		payload, err := json.Marshal(test.a)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, bus, Message{Topic: under(topicAnnounce, thing), Payload: payload})
		if test.ok {
			want = append(want, thing)
		}
		err = Announce(t.Context(), b.Bus("own"), large(func(a *Announcement) { *a = *test.a; a.Thing = thing + "-own" }))
		if (err == nil) != test.ok {
			t.Errorf("%s: Announce says %v", test.name, err)
		}
		if err == nil {
			want = append(want, thing+"-own")
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) { // publishing inside a process delivers
		t.Errorf("announced %s, want %s", got, want)
	}
}

func TestWhatIsNotTaken(t *testing.T) {
	w := Watcher{
		Announced: func(a *Announcement) { t.Errorf("announced %+v", a) }, Gone: func(f *Farewell) { t.Errorf("gone %+v", f) },
		Gateway: func(p Presence) { t.Errorf("gateway %+v", p) },
	}
	padding := strings.Repeat(" ", maxNote)
	for _, c := range []struct {
		take           func(*Message) error
		topic, payload string
	}{
		{w.announced, "announce/x/y", "{}"}, {w.announced, "announce/%zz", "{}"}, {w.announced, "announce/x", "{"}, {w.announced, "announce/x", `{"labels":7}`},
		{w.gone, "unregister/", "{}"}, {w.gone, "unregister/x", "{}" + padding}, {w.gone, "unregister/x", ""},
		{w.gateway, "gateway", "{}"}, {w.gateway, "gateway/x", "{}" + padding}, {w.gateway, "gateway/x", "[]"}, {w.gateway, "gateway/" + strings.Repeat("x", maxSegment+1), "{}"},
	} {
		if err := c.take(&Message{Topic: c.topic, Payload: []byte(c.payload)}); err == nil {
			t.Errorf("%.40s %.20q is taken", c.topic, c.payload)
		}
	}
}

func TestErrorsAreCut(t *testing.T) {
	text := strings.Repeat("é", maxExplanation)
	r, err := decodeResponse([]byte(`{"response_code":500,"error":{"code":"x","why":"`+text+`"}}`), false)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Error.Why); n > maxExplanation+3 || !strings.HasSuffix(r.Error.Why, "é...") {
		t.Errorf("%d bytes are left", n)
	}
}

// A broker that tells of one gateway after the other fills nobody's memory.
func TestGatewaysHaveABound(t *testing.T) {
	r := returns{told: map[chan struct{}]struct{}{}, since: map[string]time.Time{}}
	for i := range 10 * maxGateways {
		r.seen(Presence{Name: fmt.Sprint(i), Online: true, Time: time.Time{}.AddDate(1, 0, 0)})
	}
	if len(r.since) != maxGateways {
		t.Errorf("%d are remembered", len(r.since))
	}
}

// A broker that says that a packet has 256 MiB is not believed.
func TestLyingBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = packets.ReadPacket(c)
			_, _ = c.Write([]byte("\x20\xff\xff\xff\x7f"))
			defer c.Close()
		}
	}()
	c, err := Dial(t.Context(), DialConfig{Address: "mqtt://" + l.Addr().String()})
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), errFrame.Error()) {
		t.Errorf("got %v", err)
	}
}

// refusing is a bus whose broker tells this client of no gateway.
type refusing struct {
	Bus
	asked int
}

func (r *refusing) Subscribe(ctx context.Context, filter string, receive func(*Message)) (func(), error) {
	if strings.HasPrefix(filter, topicGateway) {
		r.asked++
		return nil, fmt.Errorf("subscribe to %s: %w with reason 0x87", filter, ErrRefused)
	}
	return r.Bus.Subscribe(ctx, filter, receive)
}

// A broker that does not tell of gateways is asked for that once, and the error of a request says so.
func TestReturnsThatAreRefused(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	bus := &refusing{Bus: b.Bus("asker")}
	c := newClient(t, bus, ClientConfig{Timeout: 10 * time.Millisecond})
	for range 3 {
		_, err := c.Do(t.Context(), Request{Topic: property("sensor-1", "a"), Operation: Get})
		if err == nil || !strings.Contains(err.Error(), "no answer") || !strings.Contains(err.Error(), "whether the gateway is there can't be seen: subscribe to gateway/+: the broker refuses it with reason 0x87") {
			t.Errorf("got %v", err)
		}
	}
	if bus.asked != 1 {
		t.Errorf("asked %d times", bus.asked)
	}
}

func TestWhatABrokerRefuses(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Access: users})
	c := dial(t, DialConfig{Address: address, User: "one", Password: "1"})
	if _, err := c.Subscribe(t.Context(), "event/sensor-2/a", func(*Message) {}); err == nil || !strings.Contains(err.Error(), "refuses it with reason 0x87") {
		t.Errorf("got %v", err)
	}
}
