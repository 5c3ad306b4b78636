package dtls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/lwm2m/coap"
)

func TestBothWays(t *testing.T) {
	for name := range testKeys {
		t.Run(fmt.Sprintf("%q", name), func(t *testing.T) {
			server := start(t, Config{PSK: testPSK})
			device := start(t, Config{Credentials: as(name)})
			gateway := device.dial(server.addr)
			device.send(gateway, "up")
			peer := server.expect("up")
			if want := (coap.Peer{Transport: "dtls", Association: peer.Association, Identity: "ep-" + name}); peer != want || peer.Association == 0 {
				t.Errorf("peer %+v, want %+v", peer, want)
			}
			server.send(peer, "down")
			if from := device.expect("down"); from != gateway {
				t.Errorf("an answer from %+v, want %+v", from, gateway)
			}
		})
	}
}

func TestDialAgainUsesTheAssociation(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	device := start(t, Config{Credentials: as("alice")})
	first := device.dial(server.addr)
	if again := device.dial(server.addr); again != first {
		t.Errorf("dialled again: %v, want %v", again, first)
	}
	if err := device.ClosePeer(first); err != nil {
		t.Fatal(err)
	}
	server.await("close_notify", func() bool { return len(server.lost) == 1 })
	if stats := server.Stats(); stats.Active+stats.Asleep != 0 {
		t.Errorf("the server has associations after a close_notify: %+v", stats)
	}
	if again := device.dial(server.addr); again == first {
		t.Error("a closed association is used again")
	}
	server.await("second handshake", func() bool { return server.Stats().Handshakes == 2 })
}

// TestSessionIsResumed: the second handshake is abbreviated: no ClientKeyExchange goes by.
func TestSessionIsResumed(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	server.echo.Store(true)
	nat := startRelay(t, server.addr)
	device := start(t, Config{Credentials: as("alice")})
	_ = device.ClosePeer(device.dial(nat.addr()))
	before := len(nat.sent())
	device.send(device.dial(nat.addr()), "resumed")
	device.expect("resumed")
	for _, datagram := range nat.sent()[before:] {
		for r, rest, ok := nextRecord(datagram, idSize); ok; r, rest, ok = nextRecord(rest, idSize) {
			if r.epoch == 0 && r.kind == typeHandshake && r.body[0] == messageClientKeyExchange {
				t.Fatal("keys were exchanged again")
			}
		}
	}
}

func TestServerClosesPeer(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	device := start(t, Config{Credentials: as("bob")})
	gateway := device.dial(server.addr)
	device.send(gateway, "up")
	peer := server.expect("up")
	if err := server.ClosePeer(peer); err != nil {
		t.Fatal(err)
	}
	device.await("close_notify", func() bool { return len(device.lost) == 1 && device.lost[0] == gateway })
	for _, c := range []struct {
		from *node
		to   coap.Peer
	}{{device, gateway}, {server, peer}, {server, coap.Peer{Transport: "dtls", Association: 7}}} {
		if err := c.from.Send(c.to, []byte("x")); !errors.Is(err, coap.ErrUnreachable) {
			t.Errorf("Send to a closed peer: %v, want ErrUnreachable", err)
		}
	}
}

// TestIdentityIsPartOfThePeer: an id that another principal has now is not who a stored Peer meant.
func TestIdentityIsPartOfThePeer(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	device := start(t, Config{Credentials: as("bob")})
	device.send(device.dial(server.addr), "up")
	peer := server.expect("up")
	peer.Identity = "ep-alice"
	if err := server.Send(peer, []byte("x")); !errors.Is(err, coap.ErrUnreachable) {
		t.Errorf("Send: %v, want ErrUnreachable", err)
	}
}

func TestServerThatStopsTellsItsPeers(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	device := start(t, Config{Credentials: as("bob")})
	gateway := device.dial(server.addr)
	server.await("association", func() bool { return server.Stats().Active == 1 })
	server.stop()
	device.await("close_notify", func() bool { return len(device.lost) == 1 && device.lost[0] == gateway })
}

func TestGreatestMessage(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	device := start(t, Config{Credentials: as("bob")})
	gateway := device.dial(server.addr)
	most := strings.Repeat("x", device.Traits().MaxMessage)
	device.send(gateway, most)
	server.expect(most)
	if err := device.Send(gateway, []byte(most+"x")); err == nil {
		t.Error("a message that no record takes was sent")
	}
}

// TestNewAssociationReplacesTheOldest: only an established one, and only one's own.
func TestNewAssociationReplacesTheOldest(t *testing.T) {
	server := start(t, Config{PSK: testPSK, MaxPerPrincipal: 2})
	other := start(t, Config{Credentials: as("bob")})
	other.send(other.dial(server.addr), "bob")
	bob := server.expect("bob")
	var peers []coap.Peer
	for _, name := range []string{"first", "second", "third"} {
		device := start(t, Config{Credentials: as("alice")})
		device.send(device.dial(server.addr), name)
		peers = append(peers, server.expect(name))
	}
	server.await("end of the oldest", func() bool { return len(server.lost) == 1 && server.lost[0] == peers[0] })
	for i, want := range []bool{false, true, true} {
		if _, ok := server.Address(peers[i]); ok != want {
			t.Errorf("association %d is there: %v, want %v", i, ok, want)
		}
	}
	if _, ok := server.Address(bob); !ok {
		t.Error("another principal's association went")
	}
	if stats := server.Stats(); stats.Active != 3 {
		t.Errorf("%d associations, want 3", stats.Active)
	}
}

func TestAllAssociationsAreBounded(t *testing.T) {
	server := start(t, Config{PSK: testPSK, MaxAssociations: 2})
	for _, name := range []string{"alice", "bob", "\xff\x00/+#"} {
		device := start(t, Config{Credentials: as(name)})
		device.send(device.dial(server.addr), name)
		server.expect(name)
	}
	stats := server.Stats()
	server.table.mu.Lock()
	defer server.table.mu.Unlock()
	if stats.Active != 2 || len(server.table.byAddr) != 2 || len(server.table.byPrincipal) != 2 {
		t.Errorf("stats %+v, %d addresses, %d principals; want 2 of each", stats, len(server.table.byAddr), len(server.table.byPrincipal))
	}
}

// TestRebinding: behind a NAT that takes another port, the device is the same peer, in both directions.
func TestRebinding(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	nat := startRelay(t, server.addr)
	device := start(t, Config{Credentials: as("alice")})
	gateway := device.dial(nat.addr())
	device.send(gateway, "before")
	peer := server.expect("before")
	old, _ := server.Address(peer)
	nat.rebind()
	device.send(gateway, "after")
	if again := server.expect("after"); again != peer {
		t.Errorf("the peer is %v, and was %v", again, peer)
	}
	if now, _ := server.Address(peer); now == old || server.Stats().Moved != 1 {
		t.Errorf("address %v, was %v; stats %+v", now, old, server.Stats())
	}
	server.send(peer, "answer")
	device.expect("answer")
}

// TestOldRecordMovesNobody: a record that was held back comes from elsewhere; it is read, but the peer stays where it is.
func TestOldRecordMovesNobody(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	nat := startRelay(t, server.addr)
	device := start(t, Config{Credentials: as("alice")})
	gateway := device.dial(nat.addr())
	nat.lossy(func(up bool, _ []byte) bool { return up })
	before := len(nat.sent())
	device.send(gateway, "late")
	sent := nat.awaitSent(before + 1)
	nat.lossy(nil)
	device.send(gateway, "early")
	peer := server.expect("early")
	here, _ := server.Address(peer)
	stranger := listen(t, "127.0.0.1:0")
	defer stranger.Close()
	_, _ = stranger.WriteToUDPAddrPort(sent[before], server.addr)
	server.expect("late")
	if now, _ := server.Address(peer); now != here {
		t.Errorf("the peer moved to %v by an old record", now)
	}
}

// TestHandshakeUnderLoss loses every datagram once, in both directions.
func TestHandshakeUnderLoss(t *testing.T) {
	server := start(t, Config{PSK: testPSK, Retransmit: 30 * time.Millisecond})
	server.echo.Store(true)
	nat := startRelay(t, server.addr)
	for n := range 6 {
		t.Run(fmt.Sprintf("datagram %d", n), func(t *testing.T) {
			count := 0
			nat.lossy(func(bool, []byte) bool { count++; return count == n+1 })
			device := start(t, Config{Credentials: as("alice"), Retransmit: 30 * time.Millisecond})
			gateway := device.dial(nat.addr())
			nat.lossy(nil)
			device.send(gateway, "x")
			device.expect("x")
		})
	}
}

func TestDialFails(t *testing.T) {
	told := make(chan string, 8)
	server := start(t, Config{PSK: testPSK, Logger: slog.New(slog.NewTextHandler(lines(told), nil))})
	for name, credentials := range map[string]Credentials{
		"wrong key":        {Identity: []byte("alice"), Key: []byte("not the key")},
		"unknown identity": {Identity: []byte("mallory"), Key: []byte("some key")},
	} {
		t.Run(name, func(t *testing.T) {
			nat := startRelay(t, server.addr)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			finished := 0
			nat.lossy(func(up bool, datagram []byte) bool {
				if up && len(nonces([][]byte{datagram}, idSize)) > 0 {
					finished++ // the device repeats it, as it hears nothing
				}
				if finished == 2 {
					cancel()
				}
				return false
			})
			device := start(t, Config{Credentials: func(string) (Credentials, error) { return credentials, nil }, Retransmit: 200 * time.Millisecond})
			if _, err := device.Dial(ctx, nat.addr().String()); !errors.Is(err, coap.ErrUnreachable) {
				t.Errorf("Dial: %v, want ErrUnreachable", err)
			}
			learnt := map[[2]byte]bool{} // what the peer learns: the same in both cases
			for _, datagram := range nat.received() {
				for r, rest, ok := nextRecord(datagram, idSize); ok; r, rest, ok = nextRecord(rest, idSize) {
					learnt[[2]byte{r.kind, r.body[0]}] = true
				}
			}
			want := map[[2]byte]bool{{typeHandshake, verifyRequest}: true, {typeHandshake, messageServerHello}: true, {typeHandshake, messageServerHelloDone}: true}
			if !maps.Equal(learnt, want) {
				t.Errorf("the server answered with %v, want %v: nothing behind ServerHelloDone", learnt, want)
			}
		})
	}
	server.stop()
	if stats := server.Stats(); stats.Failed != 2 || stats.Handshakes != 0 || stats.Handshaking != 0 {
		t.Errorf("stats %+v, want two failed handshakes", stats)
	}
	if line := <-told; !strings.Contains(line, "the key and the identity of the device") || !strings.Contains(line, "127.0.0.1") {
		t.Errorf("the operator is told %q", line)
	}
	if len(told) > 0 {
		t.Errorf("and told again: %q", <-told)
	}
}

// lines sends each line that is written.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	l <- string(b)
	return len(b), nil
}

func TestWithoutCredentials(t *testing.T) {
	server := start(t, Config{})
	device := start(t, Config{Credentials: as("alice")})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := device.Dial(ctx, server.addr.String()); err == nil {
		t.Error("dialled a transport that has no credentials")
	}
	if _, err := server.Dial(ctx, device.addr.String()); err == nil {
		t.Error("dialled without credentials")
	}
}
