package coap

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

// start runs an endpoint until the test ends.
func start(t testing.TB, config Config) *Endpoint {
	t.Helper()
	e, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run endpoint: %v", err)
		}
	})
	return e
}

func listen(t testing.TB, config UDPConfig) *UDP {
	t.Helper()
	u, err := ListenUDP(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// dial is the peer of u that listens at address.
func dial(t testing.TB, u *UDP, address string) Peer {
	t.Helper()
	p, err := u.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(code Code, path string) *Message {
	m := &Message{Code: code}
	m.SetPath(path)
	return m
}

// echo answers with the request's path.
var echo = HandlerFunc(func(_ context.Context, _ Peer, request, response *Message) {
	response.Code, response.Payload = Content, []byte(request.Path())
})

func TestUDPAnswersFromTheAddressThatWasAsked(t *testing.T) {
	for _, c := range []struct{ name, listen, ask string }{
		{"one address of IPv4", "127.0.0.1:0", "127.0.0.1"},
		{"another of IPv4", "127.3.2.1:0", "127.3.2.1"},
		{"all of IPv4", "0.0.0.0:0", "127.7.7.7"},
		{"all of both, by IPv4", ":0", "127.8.8.8"},
		{"all of both, by IPv6", ":0", "::1"},
		{"one address of IPv6", "[::1]:0", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if netip.MustParseAddr(c.ask).Is6() {
				needIPv6(t)
			}
			server := listen(t, UDPConfig{Addresses: []string{c.listen}, Sockets: 2})
			locals := make(chan netip.AddrPort, 1)
			start(t, Config{Transports: []Transport{server}, Handler: HandlerFunc(func(ctx context.Context, p Peer, request, response *Message) {
				locals <- p.Local
				echo(ctx, p, request, response)
			})})
			address := netip.AddrPortFrom(netip.MustParseAddr(c.ask), server.Addresses()[0].Port())
			conn, err := net.Dial("udp", address.String()) // connected: an answer from elsewhere does not come in
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			m := request(GET, "/3/0")
			m.Token = TokenOf([]byte{1, 2})
			datagram, _ := appendDatagram(nil, m)
			_, _ = conn.Write(datagram)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			buffer := make([]byte, 100)
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			var answer Message
			if err := decodeDatagram(buffer[:n], &answer); err != nil || string(answer.Payload) != "/3/0" || answer.Type != Acknowledgement {
				t.Errorf("answer %v %q, error %v", &answer, answer.Payload, err)
			}
			if got := <-locals; got != address {
				t.Errorf("asked at %v, the handler saw %v", address, got)
			}
		})
	}
}

func TestUDPSaysAtOnceWhoIsUnreachable(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		for _, wide := range []bool{true, false} {
			t.Run(host, func(t *testing.T) {
				if host == "::1" {
					needIPv6(t)
				}
				address := net.JoinHostPort(host, "0")
				if wide {
					address = ":0"
				}
				u := listen(t, UDPConfig{Addresses: []string{address}})
				e := start(t, Config{Transports: []Transport{u}, Reliability: Reliability{AckTimeout: time.Minute}})
				_, err := e.Do(t.Context(), dial(t, u, deafPort(t, host)), request(GET, "/1"))
				if s := e.Stats(); !errors.Is(err, ErrUnreachable) || s.Retransmissions > 0 {
					t.Errorf("got %v after %d retransmissions, want ErrUnreachable at once", err, s.Retransmissions)
				}
			})
		}
	}
}

// deafPort is an address that nobody can listen at, and nobody does: the socket there is connected to another one.
func deafPort(t *testing.T, host string) string {
	t.Helper()
	c, err := net.Dial("udp", net.JoinHostPort(host, "9"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.LocalAddr().String()
}

func TestUDPEndpointsTalk(t *testing.T) {
	server := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	start(t, Config{Transports: []Transport{server}, Handler: echo})
	client := listen(t, UDPConfig{})
	e := start(t, Config{Transports: []Transport{client}})
	p := dial(t, client, server.Addresses()[0].String())
	answer, err := e.Do(t.Context(), p, request(GET, "/3/0/13"))
	if err != nil || answer.Code != Content || string(answer.Payload) != "/3/0/13" {
		t.Fatalf("got %v, error %v", answer, err)
	}
	if err := e.Ping(t.Context(), p); err != nil {
		t.Error(err)
	}
}

func needIPv6(t *testing.T) {
	t.Helper()
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	}
	_ = c.Close()
}

func TestUDPSendsFromTheAddressOfThePeer(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0"} {
		server := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}})
		seen := make(chan netip.Addr, 1)
		start(t, Config{Transports: []Transport{server}, Handler: HandlerFunc(func(_ context.Context, p Peer, _, response *Message) {
			seen <- p.Remote.Addr()
			response.Code = Changed
		})})
		u := listen(t, UDPConfig{Addresses: []string{address}})
		e := start(t, Config{Transports: []Transport{u}})
		p := dial(t, u, server.Addresses()[0].String())
		for _, source := range []string{"127.1.2.3", "127.200.1.1"} {
			p.Local = netip.AddrPortFrom(netip.MustParseAddr(source), u.Addresses()[0].Port())
			if _, err := e.Do(t.Context(), p, request(POST, "/")); err != nil {
				t.Fatal(err)
			}
			if got := <-seen; got.String() != source {
				t.Errorf("from %s: the server saw %s", source, got)
			}
		}
	}
}

func TestUDPSocketsThatShareAPortAllServe(t *testing.T) {
	server := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0", "127.0.0.2:0"}, Sockets: 3})
	if n := len(server.Addresses()); n != 6 {
		t.Fatalf("%d sockets", n)
	}
	start(t, Config{Transports: []Transport{server}, Handler: echo})
	for _, address := range server.Addresses() {
		for range 8 { // each from another port: the kernel chooses another socket
			u := listen(t, UDPConfig{})
			e := start(t, Config{Transports: []Transport{u}})
			if _, err := e.Do(t.Context(), dial(t, u, address.String()), request(GET, "/x")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestUDPPeersThatNoSocketReaches(t *testing.T) {
	u := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	e := start(t, Config{Transports: []Transport{u}})
	for _, p := range []Peer{
		{Transport: "udp", Remote: netip.MustParseAddrPort("[::1]:5683")},
		{Transport: "udp", Remote: netip.MustParseAddrPort("127.0.0.1:5683"), Local: netip.MustParseAddrPort("127.0.0.1:1")},
		{Transport: "udp"},
	} {
		if _, err := e.Do(t.Context(), p, request(GET, "/")); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%v: %v", p, err)
		}
	}
	if _, err := e.Do(t.Context(), Peer{Transport: "other"}, request(GET, "/")); err == nil {
		t.Error("a transport that is not there is used")
	}
}

func TestUDPDropsDatagramsThatAreTooLong(t *testing.T) {
	server := listen(t, UDPConfig{Addresses: []string{"127.0.0.1:0"}, MaxMessage: 100})
	e := start(t, Config{Transports: []Transport{server}, Handler: echo})
	u := listen(t, UDPConfig{})
	device := start(t, Config{Transports: []Transport{u}})
	p := dial(t, u, server.Addresses()[0].String())
	long := request(PUT, "/1")
	long.Type, long.Payload = NonConfirmable, sample(200)
	if err := device.Notify(t.Context(), p, long); err != nil { // sends it and waits for nothing
		t.Fatal(err)
	}
	if _, err := device.Do(t.Context(), p, request(GET, "/1")); err != nil {
		t.Error(err)
	}
	if s := e.Stats(); s.Received != 1 {
		t.Errorf("%d messages were taken", s.Received)
	}
}
