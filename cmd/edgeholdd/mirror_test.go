package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/apiserver/apiservertest"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/store"
)

// startMirror serves h as the daemon would, until the test ends.
func startMirror(t *testing.T, m config.Mirror, h http.Handler) (host string) {
	t.Helper()
	l, err := listenMirror(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- registry.Run(ctx, l, h, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

func TestMirrorOverTLSAndPlain(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := apiservertest.WriteCertificate(certificate, key); err != nil {
		t.Fatal(err)
	}
	source := shelfOfOne(t, dir)
	for name, m := range map[string]config.Mirror{
		"plain": {Listen: "127.0.0.1:0", Plain: true}, "TLS": {Listen: "127.0.0.1:0", TLS: config.TLS{Certificate: certificate, Key: key}},
	} {
		t.Run(name, func(t *testing.T) {
			host := startMirror(t, m, registry.Mirror(source))
			c := registry.Config{CAFile: certificate}
			if !m.Plain {
				c.TLSHosts = []string{host}
			}
			client, err := registry.New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			into, err := store.Open(t.TempDir(), store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			r, err := registry.Parse("oci://" + host + "/p:1")
			if err != nil {
				t.Fatal(err)
			}
			if pulled, err := client.Pull(t.Context(), r, into); err != nil || pulled.Digest != source.digest {
				t.Errorf("%+v, %v", pulled, err)
			}
		})
	}
	if l, err := listenMirror(config.Mirror{}); l != nil || err != nil {
		t.Errorf("a mirror that is not configured: %v, %v", l, err)
	}
}

// Whoever connects and says nothing is not waited for by those who pull, nor at the end.
func TestMirrorWithSilentClients(t *testing.T) {
	host := startMirror(t, config.Mirror{Listen: "127.0.0.1:0", Plain: true}, registry.Mirror(shelfOfOne(t, t.TempDir())))
	for range mirrorConnections / 2 {
		silent, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + host + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || strings.TrimSpace(string(body)) != "{}" {
		t.Errorf("%d %q, %v", response.StatusCode, body, err)
	}
	_ = response.Body.Close()
}

// oneModule is a shelf with one module.
type oneModule struct {
	store  *store.Store
	digest string
}

func shelfOfOne(t *testing.T, dir string) *oneModule {
	t.Helper()
	s, err := store.Open(filepath.Join(dir, "modules"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := s.Put(t.Context(), []byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	return &oneModule{s, digest}
}

func (o *oneModule) Editions(context.Context, string) ([]registry.Edition, error) {
	return []registry.Edition{{Version: "1", Digest: o.digest}}, nil
}

func (o *oneModule) Module(digest string) ([]byte, error) { return o.store.Read(digest) }

func (o *oneModule) Trust(context.Context) (map[string][]byte, error) { return nil, nil }
