package gateway

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/server"
)

const credentialsText = `
devices:
- endpoint: sensor-1
  psk: {key: 00112233445566778899aabbccddeeff}
- endpoint: sensor-2
  psk: {identity: two, key: "base64:AAECAwQFBgc="}
- endpoint: sensor-3
  certificate: urn:dev:three
nosec: ["lab-*", "sensor-*"]
`

func writeCredentials(t *testing.T, file, text string, changed time.Time) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, changed, changed); err != nil {
		t.Fatal(err)
	}
}

func openCredentials(t *testing.T, text string) (*Credentials, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials.yaml")
	writeCredentials(t, file, text, time.Unix(1, 0))
	return OpenCredentials(file, "demo")
}

func TestCredentials(t *testing.T) {
	c, err := openCredentials(t, credentialsText)
	if err != nil {
		t.Fatal(err)
	}
	if key, endpoint, err := c.PSK([]byte("two")); err != nil || endpoint != "sensor-2" || len(key) != 8 {
		t.Errorf("%x, %q, %v", key, endpoint, err)
	}
	if _, _, err := c.PSK([]byte("sensor-2")); err == nil {
		t.Error("an identity that is not in the file has a key")
	}
	if identity, key, err := c.Key("sensor-2"); err != nil || string(identity) != "two" || len(key) != 8 {
		t.Errorf("%q, %x, %v", identity, key, err)
	}
	if _, _, err := c.Key("sensor-3"); err == nil {
		t.Error("a certificate is a key")
	}
	for name, want := range map[string]string{"urn:dev:three": "sensor-3", "sensor-8": "sensor-8", "sensor-1": ""} {
		got, err := c.Principal(&x509.Certificate{Subject: pkix.Name{CommonName: name}})
		if got != want || (err != nil) != (want == "") {
			t.Errorf("the certificate of %q stands for %q, %v; want %q", name, got, err, want)
		}
	}
	for _, row := range []struct {
		endpoint, identity string
		want               bool
	}{
		{"sensor-1", "sensor-1", true}, {"sensor-1", "sensor-2", false}, {"lab-7", "", true}, {"demo", "", true}, {"elsewhere", "", false},
		{"sensor-1", "", false}, // it has a key: nobody takes its name without
		{"sensor-3", "", false}, {"sensor-9", "", true},
	} {
		err := c.Authorise(server.Claim{Endpoint: row.endpoint, Peer: coap.Peer{Identity: row.identity}})
		if (err == nil) != row.want {
			t.Errorf("%q as %q: %v", row.endpoint, row.identity, err)
		}
	}
}

func TestCredentialsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"not YAML":                     "{",
		"an unknown key":               "device: []",
		"no endpoint":                  "devices: [{psk: {key: aabbccddeeff0011}}]",
		"no key":                       "devices: [{endpoint: a, psk: {identity: a}}]",
		"a short key":                  "devices: [{endpoint: a, psk: {key: 0011}}]",
		"a long key":                   "devices: [{endpoint: a, psk: {key: " + strings.Repeat("00", 65) + "}}]",
		"a key that YAML has read":     "devices: [{endpoint: a, psk: {key: 0011223344556677}}]",
		"a key that is none":           "devices: [{endpoint: a, psk: {key: secret}}]",
		"one identity for two":         "devices: [{endpoint: a, psk: {identity: x, key: aabbccddeeff0011}}, {endpoint: b, psk: {identity: x, key: aabbccddeeff0011}}]",
		"one certificate for two":      "devices: [{endpoint: a, certificate: x}, {endpoint: b, certificate: x}]",
		"a pattern that is none":       `nosec: ["["]`,
		"a pattern of nothing":         `nosec: [""]`,
		"an identity of two endpoints": "devices: [{endpoint: a, psk: {key: aabbccddeeff0011}}, {endpoint: b, psk: {identity: a, key: aabbccddeeff0011}}]",
	} {
		_, err := openCredentials(t, text)
		var e *CredentialsError
		if !errors.As(err, &e) || e.ErrorHint() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenCredentials("missing.yaml"); err == nil {
		t.Error("a file that is not there is read")
	}
	open := filepath.Join(t.TempDir(), "open.yaml")
	if err := os.WriteFile(open, nil, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCredentials(open); err == nil {
		t.Error("keys that everybody may read are taken")
	}
}

func TestCredentialsAreReadAnew(t *testing.T) {
	c, err := openCredentials(t, credentialsText)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		revoked := make(chan string, 8)
		go c.Watch(ctx, time.Second, slog.New(slog.DiscardHandler), func(gone []string) { revoked <- strings.Join(gone, " ") })

		writeCredentials(t, c.file, "devices: [", time.Unix(2, 0))
		time.Sleep(1500 * time.Millisecond)
		if _, _, err := c.PSK([]byte("two")); err != nil {
			t.Errorf("a broken file takes away what holds: %v", err)
		}
		writeCredentials(t, c.file, strings.Replace(credentialsText, "AAECAwQFBgc=", "AAECAwQFBgg=", 1), time.Unix(3, 0))
		time.Sleep(2 * time.Second)
		if diff := cmp.Diff(<-revoked, "sensor-2"); diff != "" {
			t.Error(diff)
		}
		if key, _, _ := c.PSK([]byte("two")); len(key) != 8 || key[7] != 8 {
			t.Errorf("the key is %x", key)
		}
		if err := c.Authorise(server.Claim{Endpoint: "demo"}); err != nil {
			t.Errorf("what the configuration allows is forgotten: %v", err)
		}
		cancel()
		synctest.Wait()
	})
}

func FuzzParseCredentials(f *testing.F) {
	f.Add([]byte(credentialsText))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCredentials(b)
		if err != nil {
			return
		}
		for identity, k := range c.keys {
			if k.endpoint == "" || len(k.key) < minKey || !c.secured[k.endpoint] {
				t.Errorf("identity %q is %+v", identity, k)
			}
		}
	})
}
