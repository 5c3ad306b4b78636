package registry

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/plugins/store"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func code(err error) string {
	var c interface{ ErrorCode() string }
	if errors.As(err, &c) {
		return c.ErrorCode()
	}
	return ""
}

// client is one that waits for nothing.
func client(t *testing.T, c Config) *Client {
	t.Helper()
	c.Wait = func(int) time.Duration { return 0 }
	made, err := New(c)
	must(t, err)
	t.Cleanup(made.Close)
	return made
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{Suffix: ".wasm"})
	must(t, err)
	return s
}

func ref(t *testing.T, format string, args ...any) Reference {
	t.Helper()
	r, err := Parse(fmt.Sprintf(format, args...))
	must(t, err)
	return r
}

// module is one with a manifest and some code that no compressor makes small.
func module(t *testing.T, version string, bytes int) []byte {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(bytes), 1))
	body := make([]byte, bytes)
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	copy(body, version) // versions differ in a few bytes
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, 0) // a custom section
	m = appendLEB(m, uint32(len(body)+5))
	m = append(m, "\x04code"...)
	m = append(m, body...)
	packed, err := wasmabi.AppendManifest(m, &wasmabi.Manifest{
		Name: "load-follower", Version: version, Kind: wasmabi.KindPolicy, Layer: wasmabi.LayerNode, Scope: wasmabi.ScopeNode, ABI: wasmabi.Version,
	})
	must(t, err)
	return packed
}

func appendLEB(b []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
