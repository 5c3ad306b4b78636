package server

import (
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
)

// program returns the path of a peer, or skips, and says what is missing.
func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs another implementation for seconds")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("EDGEHOLD_SKIP_NOTHING") != "" {
			t.Fatal(err)
		}
		t.Skipf("needs %s (package libcoap3-bin)", name)
	}
	return path
}

// TestLibcoap has libcoap's client register, update, send and de-register, without security and with the first datagram of each lost, and
// with a pre-shared key.
func TestLibcoap(t *testing.T) {
	key := []byte("0123456789abcdef")
	for name, tc := range map[string]struct {
		program, scheme string
		more            []string
	}{
		"NoSec":   {"coap-client-notls", "coap", []string{"-l", "1"}},
		"TCP":     {"coap-client-notls", "coap+tcp", nil},
		"OpenSSL": {"coap-client-openssl", "coaps", []string{"-u", "libcoap", "-k", string(key)}},
		"GnuTLS":  {"coap-client-gnutls", "coaps", []string{"-u", "libcoap", "-k", string(key)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := program(t, tc.program)
			udp, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
			must(t, err)
			socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			must(t, err)
			secure, err := dtls.New(socket, dtls.Config{PSK: func(identity []byte) ([]byte, string, error) {
				if string(identity) != "libcoap" {
					return nil, "", errors.New("unknown identity " + hex.EncodeToString(identity))
				}
				return key, "libcoap", nil
			}})
			must(t, err)
			tcp, err := coap.ListenTCP(t.Context(), coap.TCPConfig{Addresses: []string{"127.0.0.1:0"}})
			must(t, err)
			s, err := New(Config{Transports: []coap.Transport{udp, tcp, secure}, Authorise: Bound("libcoap")})
			must(t, err)
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			t.Cleanup(func() { stop(); must(t, <-done) })
			address := udp.Addresses()[0].String()
			switch tc.scheme {
			case "coaps":
				address = socket.LocalAddr().String()
			case "coap+tcp":
				address = tcp.Addresses()[0].String()
			}
			from, port := corner()
			call := func(method, target string, more ...string) {
				t.Helper()
				arguments := append([]string{"-m", method, "-B", "60"}, tc.more...)
				if tc.scheme != "coap+tcp" {
					arguments = append(arguments, "-a", from, "-p", port)
				}
				arguments = append(append(arguments, more...), tc.scheme+"://"+address+target)
				out, err := exec.CommandContext(t.Context(), client, arguments...).CombinedOutput()
				if err != nil || len(out) > 0 {
					t.Fatalf("%s %s: %v %s", method, target, err, out)
				}
			}
			call("post", "/rd?ep=libcoap&lt=60&lwm2m=1.1&b=U", "-t", "40", "-e", "</1/0>,</3/0>")
			known, ok := s.Device("libcoap")
			if !ok || known.Lifetime != time.Minute || !known.Has(at("/3/0")) || (known.Peer.Identity != "") != (tc.scheme == "coaps") {
				t.Fatalf("known is %+v", known)
			}
			call("post", "/rd/"+known.ID+"?lt=120")
			if known, _ = s.Device("libcoap"); known.Lifetime != 2*time.Minute {
				t.Errorf("lifetime %v", known.Lifetime)
			}
			if tc.scheme != "coap+tcp" { // where each call is a connection of its own, that says nothing of who it is
				sub := s.Subscribe(16)
				call("post", "/dp", "-t", "110", "-e", `[{"n":"/3/0/9","v":80}]`)
				if e, err := sub.Next(t.Context()); err != nil || e.Kind != Sent || e.Tree.String() != "/3/0/9 = 80" {
					t.Errorf("event %+v, %v", e, err)
				}
			}
			call("delete", "/rd/"+known.ID)
			if s.Len() != 0 {
				t.Error("it is registered still")
			}
		})
	}
}

// corner is an address for a device alone: of the loopback, where only who wants it is, and a port that the system gives to nobody.
func corner() (address, port string) {
	address = netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(254)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))}).String()
	return address, strconv.Itoa(10_000 + rand.IntN(20_000))
}
