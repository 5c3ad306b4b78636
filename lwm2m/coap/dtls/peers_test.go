package dtls

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

// program returns the path of a peer, or skips, and says what is missing.
func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs other people's programs")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("EDGEHOLD_SKIP_NOTHING") != "" {
			t.Fatal(err)
		}
		t.Skipf("needs %s (packages libcoap3-bin, openssl, tshark)", name)
	}
	return path
}

// run runs a program that must end by itself.
func run(t *testing.T, input io.Reader, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Stdin = input
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return string(out)
}

// authority is a certificate authority with a server's and a device's certificate, also as files.
type authority struct {
	pool           *x509.CertPool
	server, device tls.Certificate
	dir            string
}

func newAuthority(t *testing.T, rsaKeys bool) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool(), dir: t.TempDir()}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := x509.ParseCertificate(der)
	a.pool.AddCert(ca)
	a.write(t, "ca.pem", "CERTIFICATE", der)
	a.server = a.issue(t, ca, caKey, "server", rsaKeys, &x509.Certificate{Subject: pkix.Name{CommonName: "gateway"}, DNSNames: []string{"gateway.example"}})
	a.device = a.issue(t, ca, caKey, "device", rsaKeys, &x509.Certificate{Subject: pkix.Name{CommonName: "urn:dev:os:device-7"}})
	return a
}

func (a *authority) issue(t *testing.T, ca *x509.Certificate, caKey *ecdsa.PrivateKey, name string, rsaKeys bool, c *x509.Certificate) tls.Certificate {
	t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(2), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	var private any
	var public any
	if rsaKeys {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		private, public = k, &k.PublicKey
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, public = k, &k.PublicKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, public, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	a.write(t, name+".pem", "CERTIFICATE", der)
	a.write(t, name+".key", "PRIVATE KEY", keyDER)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCertificates: both sides show one, the device's names it, and each kind of key works.
func TestCertificates(t *testing.T) {
	for name, rsaKeys := range map[string]bool{"ECDSA": false, "RSA": true} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, rsaKeys)
			server := start(t, Config{Certificates: []tls.Certificate{a.server}, ClientCAs: a.pool, PSK: testPSK})
			device := start(t, Config{Credentials: func(string) (Credentials, error) {
				return Credentials{Certificates: []tls.Certificate{a.device}, RootCAs: a.pool, ServerName: "gateway.example"}, nil
			}})
			gateway := device.dial(server.addr)
			device.send(gateway, "signed")
			peer := server.expect("signed")
			if peer.Identity != "urn:dev:os:device-7" || gateway.Identity != "gateway.example" {
				t.Errorf("identities %q and %q", peer.Identity, gateway.Identity)
			}
			server.send(peer, "down")
			device.expect("down")
			keyed := start(t, Config{Credentials: as("alice")}) // and keys work beside certificates
			keyed.send(keyed.dial(server.addr), "keyed")
			server.expect("keyed")
		})
	}
}

// TestCertificatesOfOthers: a certificate that our authority did not sign, or none, gets nobody in.
func TestCertificatesOfOthers(t *testing.T) {
	ours, others := newAuthority(t, false), newAuthority(t, false)
	server := start(t, Config{Certificates: []tls.Certificate{ours.server}, ClientCAs: ours.pool})
	for name, credentials := range map[string]Credentials{
		"another authority's device": {Certificates: []tls.Certificate{others.device}, RootCAs: ours.pool, ServerName: "gateway.example"},
		"no certificate":             {RootCAs: ours.pool, ServerName: "gateway.example"},
		"another authority's server": {Certificates: []tls.Certificate{ours.device}, RootCAs: others.pool, ServerName: "gateway.example"},
		"another server's name":      {Certificates: []tls.Certificate{ours.device}, RootCAs: ours.pool, ServerName: "elsewhere.example"},
	} {
		t.Run(name, func(t *testing.T) {
			device := start(t, Config{Credentials: func(string) (Credentials, error) { return credentials, nil }})
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			if _, err := device.Dial(ctx, server.addr.String()); err == nil {
				t.Error("the handshake succeeded")
			}
		})
	}
	if stats := server.Stats(); stats.Active != 0 {
		t.Errorf("stats %+v, want no association", stats)
	}
}

// TestExpiredCertificate: an association does not outlive the certificate that it stands on.
func TestExpiredCertificate(t *testing.T) {
	a := newAuthority(t, false)
	var later atomic.Int64
	server := start(t, Config{
		Certificates: []tls.Certificate{a.server}, ClientCAs: a.pool,
		now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
	})
	device := start(t, Config{Credentials: func(string) (Credentials, error) {
		return Credentials{Certificates: []tls.Certificate{a.device}, RootCAs: a.pool, ServerName: "gateway.example"}, nil
	}})
	gateway := device.dial(server.addr)
	device.send(gateway, "valid")
	server.expect("valid")
	later.Store(int64(2 * time.Hour))
	device.send(gateway, "expired")
	device.await("close_notify", func() bool { return len(device.lost) == 1 && device.lost[0] == gateway })
	if got := server.messages(); len(got) != 1 {
		t.Errorf("received %q, want nothing after the certificate's end", got)
	}
}

func TestCertificatePrincipal(t *testing.T) {
	for want, c := range map[string]*x509.Certificate{
		"a.example": {DNSNames: []string{"a.example", "b.example"}, Subject: pkix.Name{CommonName: "cn"}},
		"a@b":       {EmailAddresses: []string{"a@b"}},
		"cn":        {Subject: pkix.Name{CommonName: "cn"}},
	} {
		if got, err := CertificatePrincipal(c); got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := CertificatePrincipal(&x509.Certificate{}); err == nil {
		t.Error("a certificate without names was given one")
	}
}

// answering is a receiver that answers each CoAP request with 2.05 and the principal.
type answering struct{ *Transport }

func (a answering) Receive(p coap.Peer, m []byte) {
	if len(m) < 4 || m[1] == 0 {
		return
	}
	tokenSize := int(m[0] & 15)
	answer := append([]byte{0x60 | byte(tokenSize), byte(coap.Content), m[2], m[3]}, m[4:4+tokenSize]...)
	_ = a.Send(p, append(append(answer, 0xff), "hello "+p.Identity...))
}

func (answering) Unreachable(coap.Peer, []byte, error) {}

// answer serves CoAP requests.
func answer(t *testing.T, config Config) (*Transport, string) {
	t.Helper()
	socket := listen(t, "127.0.0.1:0")
	transport, err := New(socket, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- transport.Serve(ctx, answering{transport}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return transport, socket.LocalAddr().String()
}

func TestLibcoap(t *testing.T) {
	for _, library := range []string{"openssl", "gnutls"} {
		t.Run(library, func(t *testing.T) {
			client := program(t, "coap-client-"+library)
			a := newAuthority(t, false)
			server, addr := answer(t, Config{PSK: testPSK, Certificates: []tls.Certificate{a.server}, ClientCAs: a.pool})
			t.Run("psk", func(t *testing.T) {
				out := run(t, nil, client, "-B", "60", "-u", "alice", "-k", string(testKeys["alice"]), "coaps://"+addr+"/x")
				if !strings.Contains(out, "hello ep-alice") {
					t.Errorf("answered %q", out)
				}
			})
			t.Run("certificate", func(t *testing.T) {
				out := run(t, nil, client, "-B", "60", "-n", "-c", a.file("device.pem"), "-j", a.file("device.key"), "-C", a.file("ca.pem"), "coaps://"+addr+"/x")
				if !strings.Contains(out, "hello urn:dev:os:device-7") {
					t.Errorf("answered %q", out)
				}
			})
			if stats := server.Stats(); stats.Handshakes != 2 {
				t.Errorf("stats %+v, want 2 handshakes", stats)
			}
		})
	}
}

// TestOpenSSL: each of our cipher suites, with the records checked by a stack that is not ours, and an abbreviated handshake.
func TestOpenSSL(t *testing.T) {
	openssl := program(t, "openssl")
	ecdsaKeys, rsaKeys := newAuthority(t, false), newAuthority(t, true)
	request := []byte{0x40, byte(coap.GET), 0x12, 0x34}
	for _, c := range []struct {
		cipher string
		a      *authority
	}{
		{"PSK-AES128-CCM8", nil}, {"PSK-AES128-CCM", nil}, {"PSK-AES128-GCM-SHA256", nil},
		{"ECDHE-ECDSA-AES128-CCM8", ecdsaKeys}, {"ECDHE-ECDSA-AES128-CCM", ecdsaKeys}, {"ECDHE-ECDSA-AES128-GCM-SHA256", ecdsaKeys},
		{"ECDHE-ECDSA-AES256-GCM-SHA384", ecdsaKeys}, {"ECDHE-RSA-AES128-GCM-SHA256", rsaKeys}, {"ECDHE-RSA-AES256-GCM-SHA384", rsaKeys},
	} {
		t.Run(c.cipher, func(t *testing.T) {
			config := Config{PSK: testPSK}
			args := []string{"s_client", "-dtls1_2", "-quiet", "-no_ign_eof", "-cipher", c.cipher + ":@SECLEVEL=0"}
			want := "hello ep-alice"
			if c.a == nil {
				args = append(args, "-psk_identity", "alice", "-psk", hex.EncodeToString(testKeys["alice"]))
			} else {
				config.Certificates, config.ClientCAs = []tls.Certificate{c.a.server}, c.a.pool
				args = append(args, "-cert", c.a.file("device.pem"), "-key", c.a.file("device.key"), "-CAfile", c.a.file("ca.pem"), "-verify_return_error")
				want = "hello urn:dev:os:device-7"
			}
			server, addr := answer(t, config)
			if out := talkTo(t, openssl, append(args, "-connect", addr), request, want); !strings.Contains(out, want) {
				t.Errorf("answered %q", out)
			}
			for deadline := time.Now().Add(time.Minute); server.Stats().Active > 0 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			if stats := server.Stats(); stats.Active != 0 || stats.Handshakes != 1 {
				t.Errorf("stats %+v, want one handshake, and no association after close_notify", stats)
			}
		})
	}
}

// talkTo runs a program, gives it input, and ends its input when it has shown what is wanted.
func talkTo(t *testing.T, name string, args []string, input []byte, want string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	stdin, _ := command.StdinPipe()
	stdout, _ := command.StdoutPipe()
	var problems bytes.Buffer
	command.Stderr = &problems
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = stdin.Write(input)
	var out bytes.Buffer
	b := make([]byte, 1024)
	for !strings.Contains(out.String(), want) {
		n, err := stdout.Read(b)
		out.Write(b[:n])
		if err != nil {
			break
		}
	}
	_ = stdin.Close()
	_ = command.Wait()
	return out.String() + problems.String()
}
