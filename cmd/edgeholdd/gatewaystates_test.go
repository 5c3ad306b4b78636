package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/lwm2m/coap/dtls"
	"github.com/edgehold/edgehold/lwm2m/store"
)

// TestDamageForgetsAssociations: where the newest state of an association can't be read, the one before it would be taken up,
// and with it sequence numbers that are used up.
func TestDamageForgetsAssociations(t *testing.T) {
	for name, damage := range map[string]bool{"whole": false, "damaged": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, _, err := store.Open(dir, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			states := storedStates{s}
			for _, state := range []dtls.State{{ID: 7, Bytes: []byte("old state")}, {ID: 7, Bytes: []byte("new state")}, {ID: 8, Bytes: []byte("another")}} {
				if err := states.Save([]dtls.State{state}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if damage {
				spoil(t, dir, "new state")
			}
			config := gatewayConfig{
				StateDirectory: dir, LwM2M: gatewayLwM2M{UDP: []string{"127.0.0.1:0"}, DTLS: none, NoSec: []string{"*"}},
				MQTT: gatewayMQTT{Listen: []string{"unix://" + filepath.Join(t.TempDir(), "mqtt.sock")}},
			}
			config.setDefaults()
			p, err := openGateway(context.Background(), config, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _, _ = p.closeTransports(), p.store.Close() }()
			want := 2
			if damage {
				want = 0
			}
			if got := p.store.Len(store.Session); got != want {
				t.Errorf("%d associations are left, want %d", got, want)
			}
		})
	}
}

// spoil changes a byte of what a store has in its files.
func spoil(t *testing.T, dir, what string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(content, []byte(what)); at >= 0 {
			content[at] ^= 1
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no file has %q", what)
}
