package gateway

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/internal/pause"
	"github.com/edgehold/edgehold/lwm2m/server"
)

// maxCredentials bounds the file: a hundred thousand devices take some 10 MiB.
const maxCredentials = 64 << 20

// Credentials say who devices are: a file that can be changed while the gateway runs. An identity, of a pre-shared key or
// of a certificate, stands for exactly one endpoint name.
type Credentials struct {
	file  string
	noSec []string // of the configuration
	table atomic.Pointer[credentialTable]
}

// credentialFile is the form of the file.
type credentialFile struct {
	Devices []struct {
		Endpoint string `json:"endpoint"`
		PSK      *struct {
			Identity string  `json:"identity,omitempty"` // the endpoint's name if it is left out
			Key      keyText `json:"key"`                // in hexadecimal, or "base64:..."
		} `json:"psk,omitempty"`
		Certificate string `json:"certificate,omitempty"` // the name in it, if that is not the endpoint's
	} `json:"devices,omitempty"`
	NoSec []string `json:"nosec,omitempty"` // patterns of endpoint names that come without security
}

// keyText is a key as it is written. One of digits alone is a number to YAML, which would make another of it.
type keyText string

// UnmarshalJSON refuses what is no text.
func (k *keyText) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		return errors.New("a key that looks like a number has to stand in quotes")
	}
	return json.Unmarshal(b, (*string)(k))
}

type credentialTable struct {
	keys    map[string]psk    // by identity
	keyed   map[string]string // identities by endpoint: the first of those that have a key
	secured map[string]bool   // endpoints that have any credential
	names   map[string]string // endpoints by the name in a certificate
	noSec   []string
	stamped stamp
}

type psk struct{ endpoint, key string }

// stamp tells versions of a file apart.
type stamp struct {
	changed time.Time
	size    int64
}

// OpenCredentials reads a file of credentials; without a name there are none. NoSec are further patterns of endpoints that
// may come without security.
func OpenCredentials(file string, noSec ...string) (*Credentials, error) {
	c := &Credentials{file: file, noSec: noSec}
	table := &credentialTable{}
	if file != "" {
		var err error
		if table, err = readCredentials(file); err != nil {
			return nil, err
		}
	}
	if err := addNoSec(table, noSec); err != nil {
		return nil, badCredentials(file, err.Error())
	}
	c.table.Store(table)
	return c, nil
}

func addNoSec(t *credentialTable, patterns []string) error {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			return fmt.Errorf("nosec: %q is no pattern", p)
		}
		if !slices.Contains(t.noSec, p) {
			t.noSec = append(t.noSec, p)
		}
	}
	return nil
}

func readCredentials(file string) (*credentialTable, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, badCredentials(file, err.Error())
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, badCredentials(file, err.Error())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCredentials+1))
	switch {
	case err != nil:
		return nil, badCredentials(file, err.Error())
	case len(b) > maxCredentials:
		return nil, badCredentials(file, fmt.Sprintf("it is larger than %d bytes", maxCredentials))
	}
	t, err := parseCredentials(b)
	if err != nil {
		return nil, badCredentials(file, err.Error())
	}
	t.stamped = stamp{info.ModTime(), info.Size()}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, badCredentials(file, "everybody on this machine may read it")
	}
	return t, nil
}

// parseCredentials reads the file's content and refuses one identity for two endpoints.
func parseCredentials(b []byte) (*credentialTable, error) {
	var f credentialFile
	if err := yaml.UnmarshalStrict(b, &f); err != nil {
		return nil, err
	}
	t := &credentialTable{keys: map[string]psk{}, keyed: map[string]string{}, secured: map[string]bool{}, names: map[string]string{}}
	for i, d := range f.Devices {
		if err := t.add(d.Endpoint, d.Certificate); err != nil {
			return nil, fmt.Errorf("device %d: %w", i+1, err)
		}
		if d.PSK == nil {
			continue
		}
		if err := t.addKey(d.Endpoint, d.PSK.Identity, string(d.PSK.Key)); err != nil {
			return nil, fmt.Errorf("device %d: %w", i+1, err)
		}
	}
	return t, addNoSec(t, f.NoSec)
}

func (t *credentialTable) add(endpoint, certificate string) error {
	if endpoint == "" {
		return errors.New("it has no endpoint name")
	}
	t.secured[endpoint] = true
	if certificate == "" {
		return nil
	}
	if other, taken := t.names[certificate]; taken && other != endpoint {
		return fmt.Errorf("certificate name %q is that of %q already", certificate, other)
	}
	t.names[certificate] = endpoint
	return nil
}

// Lengths of a pre-shared key: RFC 4279 §5.3 asks for 64 bytes at least to be possible, and fewer than 8 are no secret.
const minKey, maxKey = 8, 64

func (t *credentialTable) addKey(endpoint, identity, key string) error {
	if identity == "" {
		identity = endpoint
	}
	decoded, err := decodeKey(key)
	switch {
	case err != nil:
		return errors.New("its key is neither in hexadecimal nor in base64 with that prefix")
	case len(decoded) < minKey || len(decoded) > maxKey:
		return fmt.Errorf("its key has %d bytes, not %d to %d", len(decoded), minKey, maxKey)
	}
	if other, taken := t.keys[identity]; taken {
		return fmt.Errorf("identity %q is that of %q already", identity, other.endpoint)
	}
	t.keys[identity] = psk{endpoint, string(decoded)}
	if _, more := t.keyed[endpoint]; !more {
		t.keyed[endpoint] = identity
	}
	return nil
}

func decodeKey(s string) ([]byte, error) {
	if text, ok := strings.CutPrefix(s, "base64:"); ok {
		return base64.StdEncoding.DecodeString(text)
	}
	return hex.DecodeString(s)
}

// PSK returns the key of an identity and the endpoint that it stands for; it is [dtls.Config].PSK.
func (c *Credentials) PSK(identity []byte) (key []byte, endpoint string, err error) {
	found, ok := c.table.Load().keys[string(identity)]
	if !ok {
		return nil, "", errors.New("no device has this identity")
	}
	return []byte(found.key), found.endpoint, nil
}

// Key returns the identity and the key that an endpoint is to use: the first in the file.
func (c *Credentials) Key(endpoint string) (identity, key []byte, err error) {
	t := c.table.Load()
	name, ok := t.keyed[endpoint]
	if !ok {
		return nil, nil, fmt.Errorf("%q has no pre-shared key", endpoint)
	}
	return []byte(name), []byte(t.keys[name].key), nil
}

// Principal returns the endpoint that a verified certificate stands for: the one that the file has for the name in it, or
// that name itself; it is [dtls.Config].Principal.
func (c *Credentials) Principal(leaf *x509.Certificate) (string, error) {
	name, err := dtls.CertificatePrincipal(leaf)
	if err != nil {
		return "", err
	}
	t := c.table.Load()
	if endpoint, ok := t.names[name]; ok {
		return endpoint, nil
	}
	if _, keyed := t.keyed[name]; keyed {
		return "", fmt.Errorf("%q has a pre-shared key, and the file names no certificate for it", name)
	}
	return name, nil
}

// Authorise lets a device have the name that its credential stands for, and those without security that the file allows and
// has no credential of; it is [server.Config].Authorise.
func (c *Credentials) Authorise(claim server.Claim) error {
	t := c.table.Load()
	if t.secured[claim.Endpoint] {
		return server.Bound()(claim)
	}
	return server.Bound(t.noSec...)(claim)
}

// Len returns how many identities the file has.
func (c *Credentials) Len() int {
	t := c.table.Load()
	return len(t.keys) + len(t.names)
}

// Watch looks every now and then whether the file has changed, and reads it, until the context ends. A file that cannot be
// read leaves what holds. Changed, if not nil, is called after each that was, with the endpoints whose credential went or changed.
func (c *Credentials) Watch(ctx context.Context, every time.Duration, log *slog.Logger, changed func(revoked []string)) error {
	if c.file == "" {
		<-ctx.Done()
		return nil
	}
	var refused stamp
	for {
		pause.For(ctx, every)
		if ctx.Err() != nil {
			return nil
		}
		now, err := stampOf(c.file)
		if err != nil || now == c.table.Load().stamped || now == refused {
			continue
		}
		if err := c.reload(log, changed); err != nil {
			refused = now
			log.Error("the credentials stay as they were", "error", err)
		}
	}
}

func stampOf(file string) (stamp, error) {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime(), info.Size()}, nil
}

func (c *Credentials) reload(log *slog.Logger, changed func([]string)) error {
	next, err := readCredentials(c.file)
	if err != nil {
		return err
	}
	if err := addNoSec(next, c.noSec); err != nil {
		return err
	}
	before := c.table.Swap(next)
	gone := before.without(next)
	log.Info("credentials read anew", "file", c.file, "identities", c.Len(), "revoked", len(gone))
	if changed != nil {
		changed(gone)
	}
	return nil
}

// without lists the endpoints of which a credential is not in the next table any more, or is another.
func (t *credentialTable) without(next *credentialTable) []string {
	gone := map[string]bool{}
	for identity, k := range t.keys {
		if next.keys[identity] != k {
			gone[k.endpoint] = true
		}
	}
	for name, endpoint := range t.names {
		if next.names[name] != endpoint {
			gone[endpoint] = true
		}
	}
	all := make([]string, 0, len(gone))
	for endpoint := range gone {
		all = append(all, endpoint)
	}
	slices.Sort(all)
	return all
}

// CredentialsError is a file of credentials that cannot be used.
type CredentialsError struct{ File, Why string }

// Error says what was attempted and why it failed.
func (e *CredentialsError) Error() string { return "read credentials " + e.File + ": " + e.Why }

// ErrorCode returns the stable code.
func (e *CredentialsError) ErrorCode() string { return "gateway.credentials" }

// ErrorWhy returns the cause in words.
func (e *CredentialsError) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *CredentialsError) ErrorHint() string {
	return "the file is YAML with mode 0600: devices: [{endpoint: sensor-1, psk: {identity: sensor-1, key: 00112233445566778899aabbccddeeff}}]"
}

func badCredentials(file, why string) error { return &CredentialsError{file, why} }
