package main

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestFleet: a fleet knocks at a gateway, which here only listens.
func TestFleet(t *testing.T) {
	gateway, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer gateway.Close()
	ctx, enough := context.WithTimeout(t.Context(), patience)
	defer enough()
	names := make(chan []string, 1)
	out := fleetReport{told: make(chan struct{})}
	go func() {
		defer enough()
		names <- callers(gateway, 3)
		select {
		case <-out.told:
		case <-ctx.Done():
		}
	}()
	var errs bytes.Buffer
	code := run(ctx, []string{"fleet", "--devices", "3", "--gateway", "coap://" + gateway.LocalAddr().String(), "--every", "50ms"}, &out, &errs)
	if code != 0 || errs.Len() > 0 {
		t.Fatalf("exit code %d, %s", code, &errs)
	}
	for _, want := range []string{"3 devices, sim-000000 to sim-000002", "0 registered", "registrations: 0 of 3 begun"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if diff := cmp.Diff(<-names, []string{"sim-000000", "sim-000001", "sim-000002"}); diff != "" {
		t.Errorf("who called: got -, want +:\n%s", diff)
	}
}

// fleetReport is what a fleet says of itself.
type fleetReport struct {
	bytes.Buffer
	told chan struct{} // closed with the first line between the first and the last ones
	once sync.Once
}

func (r *fleetReport) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("0 registered")) {
		r.once.Do(func() { close(r.told) })
	}
	return r.Buffer.Write(b)
}

// callers are the first so many that knock at a gateway, by name.
func callers(gateway net.PacketConn, many int) (names []string) {
	_ = gateway.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1024)
	for len(names) < many {
		n, _, err := gateway.ReadFrom(b)
		if err != nil {
			break
		}
		_, name, _ := strings.Cut(string(b[:n]), "ep=")
		if name = name[:min(len(name), len("sim-000000"))]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
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
