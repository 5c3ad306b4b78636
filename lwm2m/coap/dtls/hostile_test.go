package dtls

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// talk returns a server, a relay and a device with an association, over which "hello" has come.
func talk(t *testing.T, config Config) (server, device *node, nat *relay) {
	config.PSK = testPSK
	server = start(t, config)
	nat = startRelay(t, server.addr)
	device = start(t, Config{Credentials: as("alice")})
	device.send(device.dial(nat.addr()), "hello")
	server.expect("hello")
	return server, device, nat
}

// works checks that the association still goes in both directions.
func works(t *testing.T, server, device *node, nat *relay) {
	t.Helper()
	device.send(device.dial(nat.addr()), "still there")
	server.send(server.expect("still there"), "yes")
	device.expect("yes")
}

func TestReplayedRecords(t *testing.T) {
	server, device, nat := talk(t, Config{})
	for range 3 {
		for _, datagram := range nat.sent() {
			nat.inject(datagram)
		}
	}
	works(t, server, device, nat)
	if got, want := server.messages(), []string{"hello", "still there"}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	server.await("counted replays", func() bool { return server.Stats().Replayed >= 3 })
}

func TestReorderedRecords(t *testing.T) {
	server, device, nat := talk(t, Config{})
	nat.lossy(func(up bool, _ []byte) bool { return up })
	before := len(nat.sent())
	want := []string{"hello"}
	gateway := device.dial(nat.addr())
	for i := range 40 {
		device.send(gateway, fmt.Sprint(i))
		want = append(want, fmt.Sprint(i))
	}
	for len(nat.sent()) < before+40 {
		time.Sleep(time.Millisecond) // the relay reads them in its own time
	}
	nat.lossy(nil)
	late := nat.sent()[before:]
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	for _, datagram := range late {
		nat.inject(datagram)
	}
	server.await("all of them", func() bool { return len(server.got) == len(want) })
	got := server.messages()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
}

// TestDamagedRecords sends a genuine record in every damaged form; none is accepted, and none does harm.
func TestDamagedRecords(t *testing.T) {
	server, device, nat := talk(t, Config{})
	nat.lossy(func(up bool, _ []byte) bool { return up })
	before := len(nat.sent())
	device.send(device.dial(nat.addr()), "secret")
	for len(nat.sent()) == before {
		time.Sleep(time.Millisecond)
	}
	genuine := nat.sent()[before]
	nat.lossy(nil)
	for i := range genuine {
		nat.inject(genuine[:i])
		damaged := bytes.Clone(genuine)
		damaged[i] ^= 1 << (i % 8)
		nat.inject(damaged)
	}
	for _, epoch := range []byte{0, 2, 255} {
		wrong := bytes.Clone(genuine)
		wrong[4] = epoch
		nat.inject(wrong)
	}
	works(t, server, device, nat)
	if got, want := server.messages(), []string{"hello", "still there"}; !slices.Equal(got, want) {
		t.Errorf("received %q, want %q", got, want)
	}
	nat.inject(genuine)
	server.expect("secret") // and the genuine one is as good as ever
}

func TestGarbage(t *testing.T) {
	server, device, nat := talk(t, Config{})
	random := rand.New(rand.NewPCG(3, 4))
	for range 150 { // what a socket's buffer takes
		garbage := make([]byte, random.IntN(200))
		for i := range garbage {
			garbage[i] = byte(random.Uint32())
		}
		if len(garbage) > 5 && random.IntN(2) == 0 { // close to a record
			copy(garbage, []byte{byte(20 + random.IntN(6)), 0xfe, 0xfd, 0, byte(random.IntN(2))})
		}
		nat.inject(garbage)
	}
	works(t, server, device, nat)
}

// TestForgedAlerts: nobody ends an association who has not its keys.
func TestForgedAlerts(t *testing.T) {
	server, device, nat := talk(t, Config{})
	for _, epoch := range []byte{0, 1} {
		nat.inject([]byte{typeAlert, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 2, alertFatal, alertHandshakeFailure})
		nat.inject([]byte{typeAlert, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 2, alertWarning, alertCloseNotify})
	}
	works(t, server, device, nat)
}

// hello returns a ClientHello as it goes over the wire.
func hello(t testing.TB, version uint16) []byte {
	t.Helper()
	catch := make(chan []byte, 1)
	socket := listen(t, "127.0.0.1:0")
	defer socket.Close()
	client, err := New(socket, Config{Credentials: as("alice")})
	if err != nil {
		t.Fatal(err)
	}
	sink := listen(t, "127.0.0.1:0")
	defer sink.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = client.Dial(ctx, sink.LocalAddr().String())
	}()
	b := make([]byte, 2048)
	n, _, err := sink.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	catch <- b[:n]
	cancel()
	<-done
	datagram := <-catch
	datagram[1], datagram[2] = byte(version>>8), byte(version)
	return datagram
}

// TestFloodOfHellos: a flood from addresses that never answer stays in its bounds, and a device gets in during it.
func TestFloodOfHellos(t *testing.T) {
	server := start(t, Config{PSK: testPSK, MaxHandshakes: 32, MaxPerSource: 4})
	flood := hello(t, version10)
	var sockets []*net.UDPConn
	for i := range 200 {
		sockets = append(sockets, listen(t, fmt.Sprintf("127.0.%d.%d:0", i/2+1, i%2+1)))
	}
	defer func() {
		for _, s := range sockets {
			s.Close()
		}
	}()
	most := 0
	for i, s := range sockets {
		_, _ = s.WriteToUDPAddrPort(flood, server.addr)
		most = max(most, server.Stats().Handshaking)
		if i == 150 {
			device := start(t, Config{Credentials: as("alice"), Retransmit: 50 * time.Millisecond})
			device.send(device.dial(server.addr), "in")
			server.expect("in")
		}
	}
	if most > 32 {
		t.Errorf("%d handshakes at once, want at most 32", most)
	}
}

func TestOneSourceIsBounded(t *testing.T) {
	server := start(t, Config{PSK: testPSK, MaxHandshakes: 1000, MaxPerSource: 8})
	flood := hello(t, version10)
	for range 50 {
		s := listen(t, "127.0.9.1:0")
		defer s.Close()
		_, _ = s.WriteToUDPAddrPort(flood, server.addr)
	}
	device := start(t, Config{Credentials: as("alice")})
	device.send(device.dial(server.addr), "in")
	server.expect("in")
	if n := server.Stats().Handshaking; n > 8 {
		t.Errorf("%d handshakes of one network, want at most 8", n)
	}
}

// TestDeviceThatWasReset in the middle of a handshake begins again from its port.
func TestDeviceThatWasReset(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	nat := startRelay(t, server.addr)
	nat.inject(hello(t, version10)) // its answer reaches nobody
	server.await("first handshake", func() bool { return server.Stats().Handshaking == 1 })
	device := start(t, Config{Credentials: as("alice"), Retransmit: 50 * time.Millisecond})
	device.send(device.dial(nat.addr()), "again")
	server.expect("again")
}

// TestNewHandshakeLeavesTheOldAssociation: whoever sends a ClientHello from a device's address ends nothing.
func TestNewHandshakeLeavesTheOldAssociation(t *testing.T) {
	server, device, nat := talk(t, Config{})
	nat.inject(hello(t, version10))
	server.await("handshake", func() bool { return server.Stats().Handshaking == 1 })
	works(t, server, device, nat)
}

// TestLegacyRecordVersion: a ClientHello in a record of version 0xFE00 is answered.
func TestLegacyRecordVersion(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	socket := listen(t, "127.0.0.1:0")
	defer socket.Close()
	_, _ = socket.WriteToUDPAddrPort(hello(t, versionLegacy), server.addr)
	b := make([]byte, 2048)
	_ = socket.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, _, err := socket.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	if r, _, ok := nextRecord(b[:n], idSize); !ok || r.kind != typeHandshake || r.body[0] != 3 {
		t.Errorf("answered with %x, want a HelloVerifyRequest", b[:n])
	}
}

func TestNetworks(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2:3::4": "2001:db8:1::/56"} {
		if got := network(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("network(%s) = %s, want %s", addr, got, want)
		}
	}
}

// TestProofOfAddress: beyond the rate a peer's first handshake is refused at no cost, and its second goes through.
func TestProofOfAddress(t *testing.T) {
	server := start(t, Config{PSK: testPSK, HandshakeRate: 1e-9})
	nat := startRelay(t, server.addr)
	device := start(t, Config{Credentials: as("alice")})
	for range 3 { // a flood proves nothing
		nat.inject(hello(t, version10))
	}
	if _, err := device.Dial(context.Background(), nat.addr().String()); err == nil {
		t.Error("the first handshake succeeded")
	}
	if stats := server.Stats(); stats.Handshaking != 0 || stats.Failed != 0 {
		t.Errorf("stats %+v: state was kept for an unproven address", stats)
	}
	for i, answer := range nat.received() {
		if hello := nat.sent()[0]; len(answer) > len(hello) {
			t.Errorf("answer %d has %d bytes, and the ClientHello %d", i, len(answer), len(hello))
		}
	}
	device.send(device.dial(nat.addr()), "second")
	server.expect("second")
	server.gate.mu.Lock()
	defer server.gate.mu.Unlock()
	if n := len(server.gate.proven); n != 0 {
		t.Errorf("%d proofs are left, and each is good for one handshake", n)
	}
}

func TestRevoke(t *testing.T) {
	server, device, nat := talk(t, Config{})
	gateway := device.dial(nat.addr())
	if n := server.Revoke("ep-bob") + server.Revoke("ep-alice"); n != 1 {
		t.Errorf("%d associations were revoked, want 1", n)
	}
	device.await("close_notify", func() bool { return len(device.lost) == 1 && device.lost[0] == gateway })
}
