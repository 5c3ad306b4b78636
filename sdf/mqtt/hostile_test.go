package mqtt

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// wire is a client that says what no library would.
type wire struct {
	net.Conn
	t testing.TB
}

func newWire(t testing.TB, address string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(address, "mqtt://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &wire{c, t}
}

func (w *wire) send(p packets.Packet) {
	w.t.Helper()
	if _, err := p.WriteTo(w.Conn); err != nil {
		w.t.Fatal(err)
	}
}

// next is the content of the next packet, nil at the end of the connection.
func (w *wire) next() packets.Packet {
	w.t.Helper()
	p, err := packets.ReadPacket(w.Conn)
	if err != nil {
		return nil
	}
	return p.Content
}

func connectPacket(id, user, password string) *packets.Connect {
	p := &packets.Connect{ProtocolName: "MQTT", ProtocolVersion: 5, CleanStart: true, KeepAlive: 60, ClientID: id, Properties: &packets.Properties{}}
	if user != "" {
		p.UsernameFlag, p.Username, p.PasswordFlag, p.Password = true, user, true, []byte(password)
	}
	return p
}

// connected says whether p lets the client in.
func (w *wire) connected(p *packets.Connect) bool {
	w.t.Helper()
	w.send(p)
	ack, ok := w.next().(*packets.Connack)
	return ok && ack.ReasonCode == 0
}

func TestFrames(t *testing.T) {
	packet := func(n int) string { return "\x30" + lengthOf(n) + strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		stream string
		ok     bool
	}{
		"nothing":                 {"", true},
		"packets that fit":        {packet(0) + packet(1) + packet(127) + packet(128) + packet(200), true},
		"one byte too many":       {packet(200) + packet(201), false},
		"the largest":             {"\x30\xff\xff\xff\x7f", false},
		"no end of the length":    {"\x30\x80\x80\x80\x80", false},
		"a length that is padded": {"\x30\x81\x80\x80\x00x\x30\x00", true},
	} {
		for _, step := range []int{1, 3, 1000} {
			f := frames{most: 200}
			var err error
			for piece := range slices.Chunk([]byte(c.stream), step) {
				if err = f.see(piece); err != nil {
					break
				}
			}
			if (err == nil) != c.ok {
				t.Errorf("%s, %d bytes at a time: %v", name, step, err)
			}
		}
	}
}

func lengthOf(n int) string {
	b := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(n&0x7f))
	}
	return string(b)
}

// A stranger's first packet is cut off before there is room for it; a client's may be as large as the limit.
func TestLargeHello(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{})
	w := newWire(t, address)
	if _, err := w.Write([]byte("\x10\x80\x80\x80\x04")); err != nil { // 8 MiB, of which nothing comes
		t.Fatal(err)
	}
	if p := w.next(); p != nil {
		t.Errorf("the broker answers %T", p)
	}
	w = newWire(t, address)
	if !w.connected(connectPacket("large", "", "")) {
		t.Fatal("it is not let in")
	}
	in := subscribe(t, dial(t, DialConfig{Address: address}), "x")
	w.send(&packets.Publish{Topic: "x", Payload: make([]byte, 1<<20), Properties: &packets.Properties{}})
	if m := in.next(t); len(m.Payload) != 1<<20 {
		t.Errorf("%d bytes came", len(m.Payload))
	}
}

// A client need not wait for the answer to its CONNECT: what is behind that is bounded as any packet of a client.
func TestLargePacketBehindTheHello(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{})
	in, w := subscribe(t, dial(t, DialConfig{Address: address}), "x"), newWire(t, address)
	var both bytes.Buffer
	for _, p := range []packets.Packet{connectPacket("eager", "", ""), &packets.Publish{Topic: "x", Payload: make([]byte, 1<<20), Properties: &packets.Properties{}}} {
		if _, err := p.WriteTo(&both); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := both.WriteTo(w.Conn); err != nil {
		t.Fatal(err)
	}
	if m := in.next(t); len(m.Payload) != 1<<20 {
		t.Errorf("%d bytes came", len(m.Payload))
	}
}

func TestTopicAliases(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Access: users})
	heard := subscribe(t, b.Bus("inside"), "#")
	alias := uint16(1)
	for _, topics := range [][]string{{""}, {"sensor-1", ""}, {"event/sensor-2", ""}} {
		w := newWire(t, address)
		if !w.connected(connectPacket("alias", "one", "1")) {
			t.Fatal("it is not let in")
		}
		for _, topic := range topics {
			_, _ = (&packets.Publish{Topic: topic, Payload: []byte("x"), Properties: &packets.Properties{TopicAlias: &alias}}).WriteTo(w.Conn)
		}
		for p := w.next(); p != nil; p = w.next() {
			if _, ok := p.(*packets.Disconnect); !ok {
				t.Errorf("%q: got %T", topics, p)
			}
		}
	}
	publish(t, b.Bus("fence"), Message{Topic: "fence"})
	if m := heard.next(t); m.Topic != "fence" {
		t.Errorf("%q is published by an alias that nobody offered", m.Topic)
	}
}

func TestWillsThatAreRefused(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Access: users})
	for _, c := range []struct {
		user, password, topic string
		retain, ok            bool
	}{
		{"all", "a", "sensor-1", false, true}, {"all", "a", "my/will", false, true}, {"all", "a", "my/will", true, false},
		{"all", "a", "#", false, false}, {"all", "a", "my/+", false, false}, {"all", "a", "$SYS/x", false, false}, {"all", "a", "event/sensor-1", false, false},
		{"all", "a", strings.Repeat("/", 100), false, false}, {"all", "a", strings.Repeat("x", maxTopic+1), false, false},
		{"one", "1", "sensor-1", false, true}, {"one", "1", "sensor-2", false, false}, {"one", "1", "reply/all/x", false, false}, {"gw", "g", "gateway/gw", true, true},
	} {
		p := connectPacket("will", c.user, c.password)
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillRetain, p.WillProperties = true, c.topic, []byte("x"), c.retain, &packets.Properties{}
		w := newWire(t, address)
		if got := w.connected(p); got != c.ok {
			t.Errorf("%s, %.20q, retained %v: let in %v", c.user, c.topic, c.retain, got)
		}
		if c.ok { // without a word from the grave
			w.send(&packets.Disconnect{Properties: &packets.Properties{}})
		}
		_ = w.next() // its end
	}
}

// Wills are heard inside the process too, and no more of them stay than may.
func TestWills(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Limits: Limits{Retained: 2}})
	in := subscribe(t, b.Bus("inside"), "gateway/+")
	for i := range 4 {
		w := newWire(t, address)
		p := connectPacket(fmt.Sprint("dies", i), "", "")
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillRetain, p.WillProperties = true, fmt.Sprint("gateway/", i), []byte("x"), true, &packets.Properties{}
		if !w.connected(p) {
			t.Fatal("it is not let in")
		}
		_ = w.Close()
		if m := in.next(t); m.Topic != p.WillTopic || m.Retain != (i < 2) {
			t.Errorf("will %d: heard %s, retained %v", i, m.Topic, m.Retain)
		}
	}
	if n := b.server.Topics.Retained.Len(); n != 2 {
		t.Errorf("%d wills are retained", n)
	}
}

func TestFiveThousandSubscriptions(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Limits: Limits{Subscriptions: 100}})
	w := newWire(t, address)
	if !w.connected(connectPacket("greedy", "", "")) {
		t.Fatal("it is not let in")
	}
	granted := func(filters ...string) (n int) {
		t.Helper()
		p := &packets.Subscribe{PacketID: 1, Properties: &packets.Properties{}}
		for _, f := range filters {
			p.Subscriptions = append(p.Subscriptions, packets.SubOptions{Topic: f})
		}
		w.send(p)
		ack, ok := w.next().(*packets.Suback)
		if !ok || len(ack.Reasons) != len(filters) {
			t.Fatalf("got %+v", ack)
		}
		for _, reason := range ack.Reasons {
			if reason < 0x80 {
				n++
			}
		}
		return n
	}
	if n := granted(strings.Repeat("a/", maxLevels)+"a", strings.Repeat("a", maxTopic+1), "a/#/b"); n != 0 {
		t.Errorf("%d filters that are unwieldy or none are granted", n)
	}
	var filters []string
	for i := range 5000 {
		filters = append(filters, fmt.Sprint("x/", i))
	}
	if n := granted(filters...); n != 100 {
		t.Errorf("%d of 5,000 are granted", n)
	}
	if n := granted("x/0", "x/4999"); n != 1 {
		t.Errorf("%d are granted where one is held already", n)
	}
	if c, ok := b.server.Clients.Get("greedy"); !ok || c.State.Subscriptions.Len() != 100 {
		t.Error("what is granted is not what is held")
	}
}

// Nobody reads what was answered to somebody else, whatever they subscribe to.
func TestEavesdroppers(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Access: users})
	things := newShelf()
	victim := dial(t, DialConfig{Address: address, User: "all", Password: "a", Name: "victim"})
	serve(t, b.Bus("gateway"), victim, things, ServeConfig{Authorise: b.Authorise})
	own := newAsker(t, victim)
	heard := make(inbox, 64)
	for _, u := range []struct{ user, password, name string }{{"one", "1", "one"}, {"looks", "l", "looks"}, {"all", "a", "other"}} {
		for i, filter := range []string{"reply/victim/x", "reply/#", "+/victim/#", "reply/+/x", "#", "$share/g/reply/victim/x", "$share/g/reply/#"} {
			c := dial(t, DialConfig{Address: address, User: u.user, Password: u.password, Name: fmt.Sprint(u.name, i)})
			_, _ = c.Subscribe(t.Context(), filter, func(m *Message) { // whether or not it is granted
				if m.Correlation != nil {
					m.From = u.name + " by " + filter
					heard <- m
				}
			})
			own.ask(t, Message{Topic: property("sensor-1", "secret").String(), Payload: []byte(`{"operation":"GET"}`), Correlation: []byte("mine")})
			if r, m := own.answer(t); r.Code != Content || string(m.Correlation) != "mine" {
				t.Fatalf("got %v, %q", r.Code, m.Correlation)
			}
			fence(t, b, c)
		}
	}
	for len(heard) > 0 {
		if m := <-heard; !strings.HasPrefix(m.From, "other") || m.Topic != property("sensor-1", "secret").String() { // requests are seen by who may do all
			t.Errorf("%s: got %s", m.From, m.Topic)
		}
	}
}

// fence waits until what the broker had for a client has come.
func fence(t *testing.T, b *Broker, c *Connection) {
	t.Helper()
	in := subscribe(t, c, "reply/"+c.Name()+"/fence")
	publish(t, b.Bus("fence"), Message{Topic: "reply/" + c.Name() + "/fence"})
	in.next(t)
}

// The answer to a client that is gone is not for another user who took its name.
func TestNameOfWhoIsGone(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Access: users})
	things := newShelf()
	serve(t, b.Bus("gateway"), b.Bus("watch"), things, ServeConfig{Authorise: b.Authorise})
	slow := Message{Topic: property("sensor-1", "slow").String(), Payload: []byte(`{"operation":"GET"}`), ResponseTopic: "reply/same/x"}
	victim := dial(t, DialConfig{Address: address, User: "all", Password: "a", Name: "same"})
	publish(t, victim, slow)
	eventually(t, "the request", func() bool { return things.count(Get) == 1 })
	victim.Close()
	eventually(t, "its end", func() bool { _, there := b.server.Clients.Get("same"); return !there })
	heir := dial(t, DialConfig{Address: address, User: "one", Password: "1", Name: "same"})
	in := subscribe(t, heir, "reply/same/+")
	close(things.slow)
	slow.ResponseTopic = "reply/same/mine"
	publish(t, heir, slow) // done after the other, as it is the same thing's
	if m := in.next(t); m.Topic != "reply/same/mine" {
		t.Errorf("got %s of another user", m.Topic)
	}
}

func TestNamesInsideTheProcess(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{})
	inside := subscribe(t, b.Bus("gateway"), "#")
	if c, err := Dial(t.Context(), DialConfig{Address: address, Name: "gateway"}); err == nil {
		c.Close()
		t.Error("it got in by a name of the process")
	}
	c := dial(t, DialConfig{Address: address})
	publish(t, c, Message{Topic: "sensor-1", ResponseTopic: "reply/gateway/x"})
	publish(t, c, Message{Topic: "fence"})
	if m := inside.next(t); m.Topic != "fence" {
		t.Errorf("%s asks for an answer to %s", m.Topic, m.ResponseTopic)
	}
}

// What a broker keeps would be done again whenever the gateway comes back.
func TestRequestsThatAreKept(t *testing.T) {
	t.Run("built in", func(t *testing.T) {
		b, address := startBroker(t, BrokerConfig{})
		testKeptRequests(t, dial(t, DialConfig{Address: address}), b.Bus("gateway"))
	})
	t.Run("mosquitto", func(t *testing.T) {
		address, _ := startMosquitto(t)
		testKeptRequests(t, dial(t, DialConfig{Address: address}), dial(t, DialConfig{Address: address}))
	})
}

func testKeptRequests(t *testing.T, elsewhere, gateway Bus) {
	publish(t, elsewhere, Message{Topic: property("sensor-1", "Reboot").String(), Payload: []byte(`{"operation":"POST"}`), Retain: true})
	things, a := newShelf(), newAsker(t, elsewhere)
	serve(t, gateway, elsewhere, things, ServeConfig{})
	a.ask(t, Message{Topic: property("sensor-1", "a").String(), Payload: []byte(`{"operation":"GET"}`)})
	a.answer(t)
	if n := things.count(Post); n != 0 {
		t.Errorf("done %d times", n)
	}
}

// Flooding with large retained messages ends at the bound, and what is taken back makes room.
func TestRetainedBytesHaveABound(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Limits: Limits{RetainedBytes: 100 << 10}})
	c := dial(t, DialConfig{Address: address})
	keep := func(topic string, n int) error {
		return c.Publish(t.Context(), &Message{Topic: topic, Payload: bytes.Repeat([]byte("x"), n), Retain: true})
	}
	for i, test := range []struct {
		topic string
		bytes int
		ok    bool
	}{
		{"a", 60 << 10, true}, {"b", 60 << 10, false}, {"a", 90 << 10, true}, {"a", 110 << 10, false}, {"a", 0, true}, {"b", 60 << 10, true}, {"b", 0, true}, {"b", 0, true}, {"c", 95 << 10, true},
	} {
		if err := keep(test.topic, test.bytes); (err == nil) != test.ok {
			t.Errorf("%d, %s with %d bytes: %v", i, test.topic, test.bytes, err)
		}
	}
	inside := b.Bus("inside")
	if inside.Publish(t.Context(), &Message{Topic: "d", Payload: make([]byte, 10<<10), Retain: true}) == nil {
		t.Error("this process may keep what there is no room for")
	}
}

// Each that listens gets a copy of the properties, so they have a bound beside that of the packet.
func TestUserPropertiesHaveABound(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{})
	w := newWire(t, address)
	if !w.connected(connectPacket("properties", "", "")) {
		t.Fatal("it is not let in")
	}
	for _, c := range []struct {
		n    int
		want byte
	}{{10, 0x10}, {10_000, 0x97}} { // no matching subscribers; quota exceeded
		p := &packets.Publish{Topic: "x", QoS: 1, PacketID: 7, Payload: []byte("x"), Properties: &packets.Properties{}}
		for range c.n {
			p.Properties.User = append(p.Properties.User, packets.User{Key: "k", Value: "v"})
		}
		w.send(p)
		ack, ok := w.next().(*packets.Puback)
		if !ok || (ack.ReasonCode >= 0x80) != (c.want >= 0x80) {
			t.Errorf("%d properties: got %+v", c.n, ack)
		}
	}
}

// Requests that wait are bounded in bytes, in all and of one client, whatever else they are made of.
func TestRequestsHaveABoundInBytes(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{})
	things, greedy, other := newShelf(), newAsker(t, b.Bus("greedy")), newAsker(t, b.Bus("other"))
	serve(t, b.Bus("gateway"), other.bus, things, ServeConfig{MaxBytes: 400 << 10})
	slow := Message{Topic: property("sensor-1", "slow").String(), Payload: []byte(`{"operation":"GET"}`), Correlation: bytes.Repeat([]byte("c"), 65535)}
	greedy.ask(t, slow)
	greedy.ask(t, slow)
	if r, m := greedy.answer(t); r.Code != Unavailable || !strings.Contains(r.Error.Why, "bytes of this client") || len(m.Correlation) != 65535 {
		t.Errorf("got %v, %+v", r.Code, r.Error)
	}
	other.ask(t, Message{Topic: property("sensor-2", "a").String(), Payload: slow.Payload})
	if r, _ := other.answer(t); r.Code != Content {
		t.Errorf("the other client: got %v", r.Code)
	}
	close(things.slow)
	if r, m := greedy.answer(t); r.Code != Content || !bytes.Equal(m.Correlation, slow.Correlation) {
		t.Errorf("got %v with %d bytes of correlation data", r.Code, len(m.Correlation))
	}
	greedy.ask(t, slow) // there is room again
	if r, _ := greedy.answer(t); r.Code != Content {
		t.Errorf("got %v", r.Code)
	}
}

// A holder's name does not grow with what somebody writes into a response topic.
func TestHoldersAreShort(t *testing.T) {
	long := strings.Repeat("x", 4000)
	if a, b := client(&Message{ResponseTopic: long + "a"}), client(&Message{ResponseTopic: long + "b"}); a == b || len(a) > 64 || a != client(&Message{ResponseTopic: long + "a"}) {
		t.Errorf("%q and %q", a, b)
	}
	if got := client(&Message{From: "me", ResponseTopic: "x"}); got != "me" {
		t.Errorf("got %q", got)
	}
}

// A password's check takes as long for a name that nobody has, and lets nobody in.
func TestPasswordsOfNobody(t *testing.T) {
	var a access
	if err := a.init(BrokerConfig{Access: append(slices.Clone(users), User{Name: "certificate"})}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		ok             bool
	}{{"all", "a", true}, {"all", "", false}, {"nobody", "", false}, {"nobody", "a", false}, {"certificate", "", false}} {
		if got := a.password(c.name, c.password); (got != nil) != c.ok {
			t.Errorf("%s, %q: got %v", c.name, c.password, got)
		}
	}
}

// Many who read nothing are cut off before what waits for all of them is too much, and who reads loses nothing.
func TestSlowReadersTogether(t *testing.T) {
	limits := Limits{PacketBytes: 64 << 10, PendingBytes: 1 << 20, AllPending: 2 << 20, Clients: 16, Stall: time.Hour}
	b, address := startBroker(t, BrokerConfig{Limits: limits})
	const sloths = 12
	for i := range sloths {
		w := newWire(t, address)
		if !w.connected(connectPacket(fmt.Sprint("sloth", i), "", "")) {
			t.Fatal("it is not let in")
		}
		w.send(&packets.Subscribe{PacketID: 1, Properties: &packets.Properties{}, Subscriptions: []packets.SubOptions{{Topic: "big"}}})
		if _, ok := w.next().(*packets.Suback); !ok {
			t.Fatal("it may not listen")
		}
	}
	quick := dial(t, DialConfig{Address: address})
	in := subscribe(t, quick, "big")
	bus, payload := b.Bus("gateway"), bytes.Repeat([]byte("x"), 32<<10)
	left := func() (n int) {
		for id := range b.server.Clients.GetAll() {
			if strings.HasPrefix(id, "sloth") {
				n++
			}
		}
		return n
	}
	for n := 0; left() > 0; n++ {
		if n == 10_000 {
			t.Fatalf("%d are not cut off", left())
		}
		publish(t, bus, Message{Topic: "big", Payload: payload})
		in.next(t)
		if waits := b.conns.bytes.Load(); waits > int64(2*limits.AllPending) {
			t.Fatalf("%d bytes wait", waits)
		}
	}
	eventually(t, "nothing waits", func() bool { return b.conns.bytes.Load() == 0 })
}
