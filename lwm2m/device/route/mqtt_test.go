package route

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// certificate is a broker's on this machine, and who vouches for it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// listening runs a broker for the length of a test, and tells what is published to a topic.
func listening(t *testing.T, topic string, c mqtt.BrokerConfig) (*mqtt.Broker, <-chan *mqtt.Message) {
	t.Helper()
	broker, err := mqtt.NewBroker(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- broker.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	heard := make(chan *mqtt.Message, 4)
	stop, err := broker.Bus("test").Subscribe(ctx, topic, func(m *mqtt.Message) { heard <- m })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return broker, heard
}

// TestBrokersThatAskWhoComes is the gateway's own broker as it is on a network: by TLS, with users.
func TestBrokersThatAskWhoComes(t *testing.T) {
	own, roots := certificate(t)
	broker, heard := listening(t, "greenhouse/average", mqtt.BrokerConfig{
		Listeners: []mqtt.Listener{{Address: "mqtts://127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{own}}}, {Address: "mqtt://127.0.0.1:0"}},
		Access:    []mqtt.User{{Name: "sensor-7", Password: mqtt.HashPassword("well met")}},
	})
	secure, plain := broker.Addresses()[0].String(), broker.Addresses()[1].String()
	for name, test := range map[string]struct {
		address string
		secure  bool
		known   Broker
		ok      bool
	}{
		"by TLS":                {secure, true, Broker{User: "sensor-7", Password: "well met", Roots: roots}, true},
		"plain":                 {plain, false, Broker{User: "sensor-7", Password: "well met"}, true},
		"another password":      {plain, false, Broker{User: "sensor-7", Password: "let me in"}, false},
		"nobody":                {plain, false, Broker{}, false},
		"nobody vouches for it": {secure, true, Broker{User: "sensor-7", Password: "well met"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Publisher{ClientID: "sensor-7", Brokers: map[string]Broker{test.address: test.known}}
			defer p.Close()
			err := p.Send(t.Context(), End{Kind: MQTT, Address: test.address, Name: "greenhouse/average", Secure: test.secure}, Item{Payload: []byte("21.25"), Format: lwm2m.FormatText})
			if (err == nil) != test.ok {
				t.Fatalf("got %v", err)
			}
			if test.ok {
				if m := <-heard; string(m.Payload) != "21.25" {
					t.Errorf("got %+v", m)
				}
			}
		})
	}
	p := &Publisher{ClientID: "sensor-7", Brokers: map[string]Broker{plain: {User: "sensor-7", Password: "well met", Roots: roots}}}
	defer p.Close()
	if err := p.Send(t.Context(), End{Kind: MQTT, Address: plain, Name: "greenhouse/average"}, Item{}); !errors.Is(err, errInTheClear) {
		t.Errorf("a server's route has the password go in the clear: %v", err)
	}
}

// TestBrokerThatLeaves ends a send when the broker has hung up, not when its time is over: nobody answers any more.
func TestBrokerThatLeaves(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var broker sync.WaitGroup
	defer broker.Wait()
	broker.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for published := false; !published; {
			packet, err := packets.ReadPacket(c)
			if err != nil {
				t.Errorf("the broker reads: %v", err)
				return
			}
			switch packet.Content.(type) {
			case *packets.Connect:
				_, _ = packets.NewControlPacket(packets.CONNACK).WriteTo(c)
			case *packets.Publish:
				published = true
			}
		}
	})
	p := &Publisher{ClientID: "sensor-7"}
	defer p.Close()
	if err := p.Send(t.Context(), End{Kind: MQTT, Address: l.Addr().String(), Name: "a"}, Item{}); !errors.Is(err, errEnded) {
		t.Errorf("got %v, want %v", err, errEnded)
	}
}
