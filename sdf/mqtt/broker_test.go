package mqtt

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

func TestListenersThatAreRefused(t *testing.T) {
	for name, config := range map[string]BrokerConfig{
		"everybody on the network": {Listeners: []Listener{{Address: "mqtt://0.0.0.0:0"}}},
		"TLS without certificate":  {Listeners: []Listener{{Address: "mqtts://127.0.0.1:0"}}},
		"another scheme":           {Listeners: []Listener{{Address: "http://127.0.0.1:0"}}},
		"a user that is none":      {Listeners: []Listener{{Address: "mqtt://127.0.0.1:0", User: "x"}}},
		"password in clear":        {Access: []User{{Name: "a", Password: "secret"}}},
		"a user twice":             {Access: []User{{Name: "a"}, {Name: "a"}}},
		"a pattern that is none":   {Access: []User{{Name: "a", Things: []string{"["}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := NewBroker(config); err == nil {
				t.Error("it is taken")
			}
		})
	}
}

var users = []User{
	{Name: "gw", Password: HashPassword("g"), Gateway: true},
	{Name: "one", Password: HashPassword("1"), Things: []string{"sensor-1*"}},
	{Name: "looks", Password: HashPassword("l"), ReadOnly: true},
	{Name: "all", Password: HashPassword("a")},
}

func TestWhoMayConnect(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Access: users})
	for _, test := range []struct {
		name string
		DialConfig
		ok bool
	}{
		{"right", DialConfig{User: "all", Password: "a"}, true},
		{"wrong password", DialConfig{User: "all", Password: "b"}, false},
		{"no password", DialConfig{User: "all"}, false},
		{"no user", DialConfig{}, false},
		{"unknown", DialConfig{User: "x", Password: "a"}, false},
		{"will of a gateway that it is not", DialConfig{User: "all", Password: "a", Gateway: "here"}, false},
		{"will of a gateway", DialConfig{User: "gw", Password: "g", Gateway: "here"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.Address = address
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, err := Dial(ctx, test.DialConfig)
			if err == nil {
				c.Close()
			}
			if (err == nil) != test.ok {
				t.Errorf("got %v", err)
			}
			if e := (*Error)(nil); err != nil && (!errors.As(err, &e) || e.ErrorCode() != "broker.unreachable" || e.ErrorHint() == "") {
				t.Errorf("got %#v", err)
			}
		})
	}
}

func TestSessionsOfOthers(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Access: users})
	mine := dial(t, DialConfig{Address: address, User: "all", Password: "a", Name: "same"})
	if c, err := Dial(t.Context(), DialConfig{Address: address, User: "one", Password: "1", Name: "same"}); err == nil {
		c.Close()
		t.Error("another user took the session over")
	}
	in := subscribe(t, mine, "x")
	publish(t, dial(t, DialConfig{Address: address, User: "all", Password: "a"}), Message{Topic: "x"})
	in.next(t)
}

func TestAccessRules(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Access: users})
	open := func(user, password string) Bus {
		return dial(t, DialConfig{Address: address, User: user, Password: password, Name: user})
	}
	gateway, one, looks, all := open("gw", "g"), open("one", "1"), open("looks", "l"), open("all", "a")
	things := newShelf()
	inside := b.Bus("inside")
	serve(t, inside, all, things, ServeConfig{Authorise: b.Authorise})

	t.Run("requests", func(t *testing.T) {
		for _, test := range []struct {
			bus   Bus
			thing string
			op    Operation
			data  any
			code  string // of the refusal; "no answer": the broker lets nothing through
		}{
			{one, "sensor-1", Post, nil, ""}, {one, "sensor-2", Get, nil, "no answer"}, {looks, "sensor-2", Get, nil, ""}, {looks, "sensor-2", Post, nil, "request.forbidden"},
			{all, "sensor-2", Post, nil, ""}, {looks, "sensor-2", Observe, nil, ""}, {looks, "sensor-2", Observe, map[string]any{}, ""},
			{looks, "sensor-2", Observe, map[string]any{"pmin": int64(1e9)}, "request.forbidden"}, // the next one would hear nothing for as long
			{all, "sensor-2", Observe, map[string]any{"pmin": int64(1)}, ""},
		} {
			config := ClientConfig{Timeout: patience}
			if test.code == "no answer" {
				config.Timeout = 100 * time.Millisecond
			}
			_, err := newClient(t, test.bus, config).Do(t.Context(), Request{Topic: property(test.thing, "a"), Operation: test.op, Data: test.data})
			got := ""
			if e, ok := errors.AsType[*Error](err); ok {
				got = e.Code
			} else if errors.Is(err, ErrNoAnswer) {
				got = "no answer"
			} else if err != nil {
				got = err.Error()
			}
			if got != test.code {
				t.Errorf("%s, %s %s: got %v", test.bus.Name(), test.op, test.thing, err)
			}
		}
	})
	t.Run("what each hears", func(t *testing.T) {
		heard := map[string]inbox{}
		for _, bus := range []Bus{gateway, one, looks, all} {
			heard[bus.Name()] = subscribe(t, bus, "#")
		}
		for _, topic := range []string{"event/sensor-1/a", "event/sensor-2/a", "announce/sensor-2", "announce", "reply/one/x", "sensor-1/a", "event/sensor-1/fence"} {
			publish(t, inside, Message{Topic: topic})
		}
		for name, want := range map[string]string{
			"gw":    "event/sensor-1/a event/sensor-2/a announce/sensor-2 announce reply/one/x sensor-1/a",
			"one":   "event/sensor-1/a reply/one/x",
			"looks": "event/sensor-1/a event/sensor-2/a announce/sensor-2 announce",
			"all":   "event/sensor-1/a event/sensor-2/a announce/sensor-2 announce sensor-1/a",
		} {
			var got []string
			for m := heard[name].next(t); m.Topic != "event/sensor-1/fence"; m = heard[name].next(t) {
				if !m.Retain {
					got = append(got, m.Topic)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s heard %s", name, got)
			}
		}
	})
	t.Run("only gateways tell", func(t *testing.T) {
		in := subscribe(t, inside, "#")
		for _, topic := range []string{"announce/evil", "unregister/sensor-1", "event/sensor-1/a", "gateway/here", "reply/one/x"} {
			publish(t, all, Message{Topic: topic, Payload: []byte("{}")})
			if all.Publish(t.Context(), &Message{Topic: "kept", Payload: []byte("x"), Retain: true}) == nil {
				t.Error("it may leave something behind")
			}
		}
		publish(t, gateway, Message{Topic: "announce/fence"})
		for m := in.next(t); m.Topic != "announce/fence"; m = in.next(t) {
			if !m.Retain {
				t.Errorf("%s came through", m.Topic)
			}
		}
	})
	t.Run("answers for another", func(t *testing.T) {
		in := subscribe(t, inside, "sensor-1/#")
		publish(t, all, Message{Topic: "sensor-1/a", ResponseTopic: "reply/one/x"})
		publish(t, all, Message{Topic: "sensor-1/fence"})
		if m := in.next(t); m.Topic != "sensor-1/fence" || m.User != "all" || m.From != "all" {
			t.Errorf("got %+v", m)
		}
	})
}

// A client that reads nothing is cut off; who publishes to it does not wait, nor does who else listens.
func TestSlowReader(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Limits: Limits{PacketBytes: 64 << 10, PendingBytes: 256 << 10, Stall: time.Hour}})
	slow, err := net.Dial("tcp", strings.TrimPrefix(address, "mqtt://"))
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	connect := "\x10\x14\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x07slothyy"
	subscribeAll := "\x82\x07\x00\x01\x00\x00\x01#\x01"
	if _, err := slow.Write([]byte(connect + subscribeAll)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slow client's subscription", func() bool {
		c, ok := b.server.Clients.Get("slothyy")
		return ok && c.State.Subscriptions.Len() == 1
	})
	quick := dial(t, DialConfig{Address: address})
	in := subscribe(t, quick, "big")
	bus, payload := b.Bus("gateway"), bytes.Repeat([]byte("x"), 32<<10)
	for range 400 { // who waited for the slow one would do so for an hour
		publish(t, bus, Message{Topic: "big", Payload: payload})
		in.next(t)
	}
	eventually(t, "the end of the slow client", func() bool { _, there := b.server.Clients.Get("slothyy"); return !there })
}

func TestClientsHaveABound(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Limits: Limits{Clients: 2}})
	dial(t, DialConfig{Address: address})
	dial(t, DialConfig{Address: address})
	if c, err := Dial(t.Context(), DialConfig{Address: address}); err == nil {
		c.Close()
		t.Error("a third one got in")
	}
}

// Who opens connections and says nothing keeps nobody out, neither those who are there nor those who come.
func TestSilentStrangers(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Limits: Limits{Clients: 4, Handshake: time.Minute}})
	before := dial(t, DialConfig{Address: address})
	in := subscribe(t, before, "x")
	for range 4 + unknown + 20 {
		c, err := net.Dial("tcp", strings.TrimPrefix(address, "mqtt://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	after := dial(t, DialConfig{Address: address})
	publish(t, after, Message{Topic: "x", Payload: []byte("1")})
	if m := in.next(t); string(m.Payload) != "1" {
		t.Errorf("got %+v", m)
	}
}

func TestSubscriptionsHaveABound(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{Limits: Limits{Subscriptions: 3}})
	c := dial(t, DialConfig{Address: address})
	for i := range 4 {
		_, err := c.Subscribe(t.Context(), fmt.Sprint("x/", i), func(*Message) {})
		if (err == nil) != (i < 3) {
			t.Errorf("subscription %d: got %v", i, err)
		}
	}
}

func TestRetainedHaveABound(t *testing.T) {
	b, _ := startBroker(t, BrokerConfig{Limits: Limits{Retained: 2}})
	bus := b.Bus("gateway")
	for i, topic := range []string{"announce/1", "announce/2", "announce/1", "announce/3"} {
		err := bus.Publish(t.Context(), &Message{Topic: topic, Payload: []byte("x"), Retain: true})
		if (err == nil) != (i < 3) {
			t.Errorf("%s: got %v", topic, err)
		}
	}
}

// Ten thousand retained messages reach who subscribes late, all of them: none is dropped for want of room.
func TestManyRetained(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Limits: Limits{PacketBytes: 16 << 10, PendingBytes: 48 << 10}})
	bus, payload := b.Bus("gateway"), bytes.Repeat([]byte("x"), 200)
	const n = 10_000
	for i := range n {
		publish(t, bus, Message{Topic: fmt.Sprint("announce/", i), Payload: payload, Retain: true})
	}
	done := make(chan bool)
	got := 0
	_, err := dial(t, DialConfig{Address: address}).Subscribe(t.Context(), "announce/+", func(*Message) {
		if got++; got == n {
			close(done)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Errorf("%d of %d came", got, n)
	}
}

// What waits for a client that is away is bounded in number and bytes, and gone when its session is.
func TestSessionOfWhoIsAway(t *testing.T) {
	b, address := startBroker(t, BrokerConfig{Limits: Limits{PacketBytes: 64 << 10, Inflight: 100, InflightBytes: 64 << 10}})
	raw, err := net.Dial("tcp", strings.TrimPrefix(address, "mqtt://"))
	if err != nil {
		t.Fatal(err)
	}
	connect := "\x10\x17\x00\x04MQTT\x05\x02\x00\x3c\x05\x11\x00\x00\xff\xff\x00\x05away1"
	if _, err := raw.Write([]byte(connect + "\x82\x07\x00\x01\x00\x00\x01x\x01")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the subscription", func() bool {
		c, ok := b.server.Clients.Get("away1")
		return ok && c.State.Subscriptions.Len() == 1
	})
	c, _ := b.server.Clients.Get("away1")
	_ = raw.Close()
	eventually(t, "its end", func() bool { return c.StopTime() != 0 })
	bus := dial(t, DialConfig{Address: address})
	for range 300 {
		publish(t, bus, Message{Topic: "x", Payload: bytes.Repeat([]byte("x"), 1<<10), Retain: true}) // retained: of quality of service 1
	}
	n := c.State.Inflight.Len()
	if n == 0 || n > 65 { // the last may be on its way out
		t.Errorf("%d messages wait for it", n)
	}
	b.expire(time.Now().Add(time.Hour))
	if _, there := b.server.Clients.Get("away1"); there || c.State.Inflight.Len() > 0 {
		t.Error("its session outlives its time")
	}
}

func TestTLS(t *testing.T) {
	authority, pool := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{authority.issue(t, "localhost")}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven}
	listener := Listener{Address: "mqtts://127.0.0.1:0", TLS: server}
	b, err := NewBroker(BrokerConfig{Listeners: []Listener{listener}, Access: users})
	if err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	address := "mqtts://" + b.Addresses()[0].String()
	known := &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{authority.issue(t, "one")}}
	c := dial(t, DialConfig{Address: address, TLS: known})
	in := subscribe(t, b.Bus("inside"), "sensor-1")
	publish(t, c, Message{Topic: "sensor-1"})
	if m := in.next(t); m.User != "one" {
		t.Errorf("the certificate's name became user %q", m.User)
	}
	for name, config := range map[string]*tls.Config{
		"no certificate":           {RootCAs: pool, ServerName: "localhost"},
		"a stranger's":             {RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{authority.issue(t, "stranger")}},
		"a broker of other people": {ServerName: "localhost"},
	} {
		if c, err := Dial(t.Context(), DialConfig{Address: address, TLS: config}); err == nil {
			c.Close()
			t.Errorf("%s: connected", name)
		}
	}
}

type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) (*authority, *x509.CertPool) {
	t.Helper()
	a := &authority{certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pool := x509.NewCertPool()
	pool.AddCert(a.sign(t, a.certificate, a.key))
	return a, pool
}

func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) issue(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}, key)
	return tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
}

// A client that takes few messages at a time gets all of them, as it acknowledges those before.
func TestFewAtATime(t *testing.T) {
	_, address := startBroker(t, BrokerConfig{})
	gateway, w := dial(t, DialConfig{Address: address}), newWire(t, address)
	hello, few := connectPacket("few", "", ""), uint16(2)
	hello.Properties.ReceiveMaximum = &few
	if !w.connected(hello) {
		t.Fatal("it is not let in")
	}
	w.send(&packets.Subscribe{PacketID: 1, Properties: &packets.Properties{}, Subscriptions: []packets.SubOptions{{Topic: "x", QoS: 1}}})
	if _, ok := w.next().(*packets.Suback); !ok {
		t.Fatal("it may not listen")
	}
	const each = 10
	for round := range 3 {
		for range each {
			publish(t, gateway, Message{Topic: "x", Payload: []byte("x"), Retain: true})
		}
		publish(t, gateway, Message{Topic: "fence", Retain: true}) // acknowledged when those before are delivered, or wait
		for n := range each {
			p, ok := w.next().(*packets.Publish)
			if !ok {
				t.Fatalf("only %d have come in round %d", n, round)
			}
			w.send(&packets.Puback{PacketID: p.PacketID, Properties: &packets.Properties{}})
		}
	}
}
