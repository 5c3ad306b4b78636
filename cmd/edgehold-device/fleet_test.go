package main

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"
)

// TestFleet: a fleet knocks at a gateway, which here only listens.
func TestFleet(t *testing.T) {
	gateway, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"fleet", "--devices", "3", "--gateway", "coap://" + gateway.LocalAddr().String(), "--for", "200ms", "--every", "50ms"}, &out, &errs)
	if code != 0 || errs.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	for _, want := range []string{"3 devices, sim-000000 to sim-000002", "0 registered", "registrations: 0 of 3 begun"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	b := make([]byte, 1024)
	_ = gateway.SetReadDeadline(time.Now().Add(time.Second))
	if n, _, err := gateway.ReadFrom(b); err != nil || !strings.Contains(string(b[:n]), "ep=sim-00000") {
		t.Errorf("received %q, %v", b[:n], err)
	}
}

func TestFleetFlags(t *testing.T) {
	for name, args := range map[string][]string{
		"no such flag":   {"--no-such-flag"},
		"argument":       {"word"},
		"scheme":         {"--gateway", "http://127.0.0.1"},
		"host":           {"--gateway", "coap://"},
		"far gateway":    {"--gateway", "coap://192.0.2.1:5683"},
		"share":          {"--loss", "2"},
		"no device":      {"--devices", "0"},
		"unknown number": {"--devices", "many"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(context.Background(), append([]string{"fleet"}, args...), &out, &errs); code != 2 {
				t.Errorf("exit code %d, want 2; %s", code, &errs)
			}
		})
	}
}
