package coap

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

func listenTCP(t testing.TB, config TCPConfig) *TCP {
	t.Helper()
	tcp, err := ListenTCP(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	return tcp
}

// certificate is a self-signed one for 127.0.0.1, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTCPEndpointsTalkBothWays(t *testing.T) {
	own, pool := certificate(t)
	for _, c := range []struct {
		name           string
		server, client TCPConfig
	}{
		{"plain", TCPConfig{}, TCPConfig{}},
		{"TLS", TCPConfig{
			TLS:      &tls.Config{Certificates: []tls.Certificate{own}},
			Identity: func(tls.ConnectionState) (string, error) { return "somebody", nil },
		}, TCPConfig{TLS: &tls.Config{RootCAs: pool}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.Addresses = []string{"127.0.0.1:0"}
			server, client := listenTCP(t, c.server), listenTCP(t, c.client)
			peers := make(chan Peer, 8)
			s := start(t, Config{Transports: []Transport{server}, Handler: HandlerFunc(func(_ context.Context, p Peer, request, response *Message) {
				peers <- p
				response.Code, response.Payload = Content, request.Payload
			})})
			e := start(t, Config{Transports: []Transport{client}, Handler: echo})
			p, err := client.Dial(t.Context(), server.Addresses()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Ping(t.Context(), p); err != nil {
				t.Error(err)
			}
			body := bytes.Repeat([]byte("0123456789"), 1000)
			m := request(FETCH, "/x")
			m.Payload = body
			answer, err := e.Do(t.Context(), p, m)
			if err != nil || answer.Code != Content || !bytes.Equal(answer.Payload, body) {
				t.Fatalf("got %v, error %v", answer, err)
			}
			back := <-peers
			if (back.Identity == "somebody") != (c.server.TLS != nil) {
				t.Errorf("peer %v", back)
			}
			answer, err = s.Do(t.Context(), back, request(GET, "/3/0"))
			if err != nil || string(answer.Payload) != "/3/0" {
				t.Errorf("asked back: %v, error %v", answer, err)
			}
			if err := server.ClosePeer(back); err != nil {
				t.Error(err)
			}
			for err == nil {
				_, err = e.Do(t.Context(), p, request(GET, "/gone"))
			}
			if !errors.Is(err, ErrUnreachable) {
				t.Errorf("after its release: %v", err)
			}
		})
	}
}

func TestTCPEndsConnectionsThatMakeNoSense(t *testing.T) {
	server := listenTCP(t, TCPConfig{Addresses: []string{"127.0.0.1:0"}, Patience: 200 * time.Millisecond, MaxMessage: 2000})
	e := start(t, Config{Transports: []Transport{server}, Handler: echo})
	settings := []byte{0x00, byte(signalCSM)}
	for _, c := range []struct {
		name string
		send []byte
	}{
		{"nothing", nil},
		{"a request before the settings", []byte{0x00, byte(GET)}},
		{"a message beyond the limit", append(settings[:2:2], 0xf0, 0x7f, 0xff, 0xff, 0xff, byte(GET))},
		{"a message that never ends", append(settings[:2:2], 0xe0, 0x01)},
		{"a token length that is reserved", append(settings[:2:2], 0x0f, byte(signalPing), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)},
		{"a request that makes no sense", append(settings[:2:2], 0x10, byte(GET), 0xff)},
		{"a release", append(settings[:2:2], 0x00, byte(signalRelease))},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Addresses()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = conn.Write(c.send)
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			for err == nil {
				_, err = conn.Read(make([]byte, 100))
			}
			if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
				t.Error("the connection stays")
			}
		})
	}
	if n := e.Stats().Requests; n != 0 {
		t.Errorf("%d requests were taken", n)
	}
}

// TestTCPRefusesSignalsWithCriticalOptions, whatever their numbers mean elsewhere, and ignores elective ones (RFC 8323 section 5).
func TestTCPRefusesSignalsWithCriticalOptions(t *testing.T) {
	server := listenTCP(t, TCPConfig{Addresses: []string{"127.0.0.1:0"}})
	start(t, Config{Transports: []Transport{server}, Handler: echo})
	for _, c := range []struct {
		name   string
		code   Code
		option OptionID
		abort  bool
		bad    OptionID // that the Abort names
	}{
		{"settings", signalCSM, 9, true, 9},
		{"settings, by an option of requests", signalCSM, URIPath, true, URIPath},
		{"a ping", signalPing, 9, true, 0},
		{"a ping, by an option of requests", signalPing, URIPath, true, 0},
		{"a pong", signalPong, 9, true, 0},
		{"a release", signalRelease, 9, true, 0},
		{"elective settings", signalCSM, 2048, false, 0},
		{"elective, of another length in requests", signalCSM, ETag, false, 0},
		{"a ping that wants custody", signalPing, 2, false, 0},
		{"an elective pong", signalPong, 12, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Addresses()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			settings, _ := appendFrame(nil, &Message{Code: signalCSM})
			signal, _ := appendFrame(settings, &Message{Code: c.code, Options: []Option{{ID: c.option}}})
			_, _ = conn.Write(signal)
			if !c.abort {
				if !alive(conn) {
					t.Error("the connection ended")
				}
				return
			}
			var m *Message
			for err == nil && (m == nil || m.Code != signalAbort) {
				m, err = readFrame(conn)
			}
			if err != nil {
				t.Fatalf("no Abort: %v", err)
			}
			if bad, told := m.Uint(abortBadSetting); OptionID(bad) != c.bad || told != (c.bad != 0) || len(m.Payload) == 0 {
				t.Errorf("aborted by %v %v %q, want option %d to be named", m, m.Options, m.Payload, c.bad)
			}
			if _, err := readFrame(conn); err == nil {
				t.Error("the connection goes on")
			}
		})
	}
}

// TestTCPAnnouncingCostsNothing: the memory for a message comes with its bytes, and goes with them.
func TestTCPAnnouncingCostsNothing(t *testing.T) {
	const connections, each = 200, 64 << 10
	server := listenTCP(t, TCPConfig{Addresses: []string{"127.0.0.1:0"}, MaxMessage: each})
	e := start(t, Config{Transports: []Transport{server}, Handler: echo})
	long := request(PUT, "/x")
	long.Payload = sample(each - 100)
	for _, c := range []struct {
		name string
		send []byte
	}{
		{"announced", []byte{0xe0, 0xfe, 0, byte(PUT), 0xff}},
		{"sent", must(appendFrame(nil, long))},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, took := heap(), e.Stats().Received
			for range connections {
				conn, err := net.Dial("tcp", server.Addresses()[0].String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_, _ = conn.Write([]byte{0x00, byte(signalCSM)})
				if !alive(conn) {
					t.Fatal("the connection ended")
				}
				_, _ = conn.Write(c.send)
				if len(c.send) > each/2 && !alive(conn) {
					t.Fatal("a message of the greatest length ended the connection")
				}
			}
			if n := e.Stats().Received - took; c.name == "sent" && n != connections {
				t.Errorf("%d messages were taken", n)
			}
			if grown := int64(heap()) - int64(before); grown > connections*each/3 {
				t.Errorf("%d connections hold %d bytes", connections, grown)
			}
		})
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestTCPWhoOnlyConnectsKeepsNobodyOut(t *testing.T) {
	server := listenTCP(t, TCPConfig{Addresses: []string{"127.0.0.1:0"}, Connections: 4})
	start(t, Config{Transports: []Transport{server}, Handler: echo})
	connect := func(from string) (conn net.Conn, admitted bool) {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		conn, err := dialer.Dial("tcp", server.Addresses()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write([]byte{0x00, byte(signalCSM)})
		return conn, alive(conn) // and heard of after those before it
	}
	var greedy []net.Conn
	for range 4 {
		conn, ok := connect("127.0.0.1")
		if !ok {
			t.Fatal("there is no room from the beginning")
		}
		greedy = append(greedy, conn)
	}
	if _, ok := connect("127.0.0.2"); ok {
		t.Error("who has all connections gets one more")
	}
	if !alive(greedy[0]) {
		t.Fatal("a ping is not answered")
	}
	for range 2 {
		if _, ok := connect("127.0.9.1"); !ok {
			t.Error("who has none is kept out")
		}
	}
	if _, ok := connect("127.0.9.2"); ok {
		t.Error("who has as many as the other takes more")
	}
	for i, want := range []bool{true, false, false, true} {
		if got := alive(greedy[i]); got != want {
			t.Errorf("connection %d of who had most lives: %t, want %t", i, got, want)
		}
	}
}

// alive reports whether the other side answers a ping, and does not end the connection.
func alive(conn net.Conn) bool {
	_, _ = conn.Write([]byte{0x00, byte(signalPing)})
	for {
		m, err := readFrame(conn)
		if err != nil || m.Code == signalPong {
			return err == nil
		}
	}
}

// readFrame reads one frame; options that it does not know are left out of it.
func readFrame(conn net.Conn) (*Message, error) {
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	var frame []byte
	for want := 2; len(frame) < want; {
		more := make([]byte, want-len(frame))
		if _, err := io.ReadFull(conn, more); err != nil {
			return nil, err
		}
		frame = append(frame, more...)
		total, header := frameLength(frame)
		want = int(total)
		if header == 0 {
			want = len(frame) + 1
		}
	}
	m := new(Message)
	if err := decodeFrame(frame, m); err != nil && !errors.Is(err, errCritical) {
		return nil, err
	}
	return m, nil
}
