package dtls

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
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
	late := nat.awaitSent(before + 40)[before:]
	nat.lossy(nil)
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
	genuine := nat.awaitSent(before + 1)[before]
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
	server.entrance.mu.Lock()
	defer server.entrance.mu.Unlock()
	if n := server.entrance.sources[network(netip.MustParseAddr("127.0.9.1"))]; n == 0 || n > 8 {
		t.Errorf("%d handshakes of one network, want 8 at most", n)
	}
}

// TestDeviceThatWasReset in the middle of a handshake begins again from its port, and one Dial gets it in, whatever becomes of what was
// under way before.
func TestDeviceThatWasReset(t *testing.T) {
	// Each of these sees the datagrams of the new handshake go by, and has those of the old one come in between.
	for name, c := range map[string]struct {
		late   func(nat *relay, old, answer []byte) func(up bool, datagram []byte) bool
		failed uint64
	}{
		"its old hello is lost after all": {late: func(*relay, []byte, []byte) func(bool, []byte) bool { return nil }},
		"its old hello comes again later": {late: func(nat *relay, old, _ []byte) func(bool, []byte) bool {
			return func(up bool, datagram []byte) bool {
				if up && cookieOf(datagram) != nil {
					_, _ = nat.back.WriteToUDPAddrPort(old, nat.server)
				}
				return false
			}
		}},
		"the answer to its old hello comes first": {failed: 1, late: func(nat *relay, _, answer []byte) func(bool, []byte) bool {
			return func(up bool, datagram []byte) bool {
				if !up && answer != nil {
					_, _ = nat.front.WriteToUDPAddrPort(answer, nat.device)
					answer = nil
				}
				return false
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, Config{PSK: testPSK})
			nat := startRelay(t, server.addr)
			nat.lossy(func(up bool, _ []byte) bool { return !up })
			old := hello(t, version10)
			nat.inject(old)
			server.await("answer", func() bool { return len(nat.received()) == 1 })
			nat.lossy(c.late(nat, old, nat.received()[0]))
			device := start(t, Config{Credentials: as("alice")})
			device.send(device.dial(nat.addr()), "again")
			server.expect("again")
			if stats := server.Stats(); stats.Handshakes != 1 || stats.Failed < c.failed {
				t.Errorf("stats %+v, want one handshake and %d that failed", stats, c.failed)
			}
		})
	}
}

// cookieOf returns the cookie of a datagram that is a ClientHello with one.
func cookieOf(datagram []byte) []byte {
	if !greetingOf(datagram).isHello {
		return nil
	}
	r, _, _ := nextRecord(datagram, idSize)
	if _, cookie, ok := helloCookie(r.body); ok && len(cookie) > 0 {
		return cookie
	}
	return nil
}

// TestHandshakesOfOneAddress: another ClientHello pushes out none whose peer has answered, unless that had its time.
func TestHandshakesOfOneAddress(t *testing.T) {
	server, err := New(discard{}, Config{PSK: testPSK})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	arrives := func(random byte, after time.Duration) *handshake {
		h := newHandshake(server, netip.MustParseAddrPort("192.0.2.1:5684"), false)
		h.random[0], h.begun = random, begun.Add(after)
		server.entrance.admit(h)
		return h
	}
	proven := arrives(1, 0)
	proven.proven.Store(true)
	for i := range byte(20) {
		last := arrives(2+i, time.Duration(i)*time.Millisecond)
		if !server.entrance.has(last) || !server.entrance.has(proven) || server.entrance.len() > maxPerAddress {
			t.Fatalf("after %d ClientHellos the newest is there: %v, the proven one: %v, in all %d", i+1, server.entrance.has(last), server.entrance.has(proven), server.entrance.len())
		}
	}
	for i := range byte(maxPerAddress - 1) {
		arrives(50+i, restartAfter/2).proven.Store(true)
	}
	if late := arrives(60, restartAfter); server.entrance.has(late) || !server.entrance.has(proven) {
		t.Error("a proven handshake went before its time")
	}
	if late := arrives(61, restartAfter+1); !server.entrance.has(late) || server.entrance.has(proven) {
		t.Error("a device that was reset several times finds no room")
	}
}

// TestHandshakeTakesSoMuch: fragments that never make a message are not collected for ever.
func TestHandshakeTakesSoMuch(t *testing.T) {
	server, err := New(discard{}, Config{PSK: testPSK})
	if err != nil {
		t.Fatal(err)
	}
	h := newHandshake(server, netip.MustParseAddrPort("192.0.2.1:5684"), false)
	fragment := appendPlain(nil, typeHandshake, 1, append([]byte{messageClientHello, 0xff, 0xff, 0xff, 0, 1, 0, 0, 9, 0, 4, 0}, make([]byte, 1024)...))
	for _, limit := range []int{maxHelloBytes, maxShakeBytes} {
		read := h.taken
		for range 1000 {
			if h.feed(fragment); len(h.in) > 0 {
				read += len(<-h.in)
			}
		}
		if read > limit || read < limit-len(fragment) {
			t.Errorf("a handshake took %d bytes, want just below %d", read, limit)
		}
		h.proven.Store(true)
	}
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
	_ = socket.SetReadDeadline(time.Now().Add(time.Minute))
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
	credentials, _ := device.config.Credentials("")
	if _, refused, err := device.Transport.dial(context.Background(), nat.addr(), credentials); err == nil || !refused {
		t.Errorf("the first handshake ended with %v, refused: %v", err, refused)
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
	if n := len(server.gate.proven); n != 0 {
		t.Errorf("%d proofs are left, and each is good for one handshake", n)
	}
	server.gate.mu.Unlock()
	other := start(t, Config{Credentials: as("bob")}) // for who dials it is one
	other.send(other.dial(server.addr), "both")
	server.expect("both")
}

// TestCookieSecretChanges: a cookie is good for some minutes, whatever goes on meanwhile, and then no more.
func TestCookieSecretChanges(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.1:5684")
	first := hello(t, version10)
	for name, c := range map[string]struct {
		busy, after time.Duration // others knock so often; the cookie comes back then
		good        bool
	}{
		"at once":                            {busy: time.Hour, after: 0, good: true},
		"within its time":                    {busy: time.Hour, after: secretFor, good: true},
		"within its time, others come":       {busy: time.Second, after: secretFor, good: true},
		"too late":                           {busy: time.Hour, after: 2 * secretFor, good: false},
		"too late, others come":              {busy: time.Second, after: 2 * secretFor, good: false},
		"too late, others come now and then": {busy: secretFor - 1, after: 3 * secretFor, good: false},
	} {
		t.Run(name, func(t *testing.T) {
			g, now := newGate(1e-9), time.Unix(1e9, 0)
			answer, ok := g.admit(from, first, now)
			if r, _, _ := nextRecord(answer, idSize); ok || len(r.body) < cookieSize || r.body[0] != verifyRequest {
				t.Fatalf("answered with %x, %v; want a HelloVerifyRequest", answer, ok)
			}
			second := withCookie(first, answer[len(answer)-cookieSize:])
			for end := now.Add(c.after); now.Before(end); now = now.Add(min(c.busy, end.Sub(now))) {
				g.admit(netip.MustParseAddrPort("192.0.2.9:5684"), first, now)
			}
			answer, _ = g.admit(from, second, now)
			if r, _, _ := nextRecord(answer, idSize); (r.kind == typeAlert) != c.good {
				t.Errorf("answered with %x, want the cookie good: %v", answer, c.good)
			}
			if _, ok := g.admit(from, first, now); ok != c.good {
				t.Errorf("the next handshake is let in: %v, want %v", ok, c.good)
			}
		})
	}
}

// withCookie puts a cookie into a ClientHello that has none.
func withCookie(hello, cookie []byte) []byte {
	at := headerSize + handshakeHeaderSize + 2 + randomSize
	at += 1 + int(hello[at]) // session
	changed := append(bytes.Clone(hello[:at]), byte(len(cookie)))
	changed = append(append(changed, cookie...), hello[at+1:]...)
	binary.BigEndian.PutUint16(changed[headerSize-2:], uint16(len(changed)-headerSize))
	return changed
}

func TestRevoke(t *testing.T) {
	server, device, nat := talk(t, Config{})
	gateway := device.dial(nat.addr())
	if n := server.Revoke("ep-bob") + server.Revoke("ep-alice"); n != 1 {
		t.Errorf("%d associations were revoked, want 1", n)
	}
	device.await("close_notify", func() bool { return len(device.lost) == 1 && device.lost[0] == gateway })
}

// TestHostileRecords sends what a genuine handshake and association said, damaged, cut up and put together in every way, from many addresses:
// nothing comes of it, an association goes on meanwhile, memory stays where it was, and a device gets in afterwards.
func TestHostileRecords(t *testing.T) {
	server, device, nat := talk(t, Config{MaxHandshakes: 64, MaxPerSource: 16, HandshakeTimeout: 10 * time.Minute})
	server.echo.Store(true)
	gateway := device.dial(nat.addr())
	genuine := append(nat.sent(), nat.received()...)
	random := rand.New(rand.NewPCG(7, 8))
	var sockets []*net.UDPConn
	for range 20 {
		s := listen(t, "127.0.7.1:0")
		defer s.Close()
		sockets = append(sockets, s)
	}
	before := heap()
	for round := range 100 {
		for range 50 {
			_, _ = sockets[random.IntN(len(sockets))].WriteToUDPAddrPort(mutate(random, genuine), server.addr)
			if random.IntN(10) == 0 {
				nat.inject(mutate(random, genuine))
			}
		}
		said := fmt.Sprint("round ", round)
		device.await(said, func() bool {
			_ = device.Send(gateway, []byte(said)) // the network may lose some
			return slices.ContainsFunc(device.got, func(r received) bool { return r.message == said })
		})
	}
	if grown := int64(heap()) - int64(before); grown > 64*(maxShakeBytes+64<<10) {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if stats := server.Stats(); stats.Handshakes != 1 || stats.Active != 1 || stats.Handshaking > 16+maxPerAddress {
		t.Errorf("stats %+v, want the one association, and some handshakes", stats)
	}
	for _, message := range server.messages() {
		if message != "hello" && !strings.HasPrefix(message, "round ") {
			t.Errorf("the server took %q", message)
		}
	}
	late := start(t, Config{Credentials: as("bob")})
	late.send(late.dial(server.addr), "late")
	late.expect("late")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// mutate makes a datagram of genuine ones that is not one of them.
func mutate(random *rand.Rand, genuine [][]byte) []byte {
	some := func() []byte { return genuine[random.IntN(len(genuine))] }
	d := bytes.Clone(some())
	for range 1 + random.IntN(3) {
		at := random.IntN(len(d))
		switch random.IntN(8) {
		case 0: // another type
			d[0] = byte(19 + random.IntN(8))
		case 1: // another epoch, which is not ours or has nothing of ours
			d[3], d[4] = byte(random.IntN(2)), byte(random.IntN(4))
		case 2: // another length
			d[min(len(d)-1, 11+random.IntN(2))] = byte(random.Uint32())
		case 3: // cut off
			d = d[:max(min(headerSize, len(d)), at)]
		case 4: // more behind it
			d = append(d, some()[:random.IntN(20)+1]...)
		case 5: // a fragment of a long message
			if len(d) > headerSize+handshakeHeaderSize {
				d[headerSize+1], d[headerSize+4], d[headerSize+5] = byte(random.IntN(3)), 0, byte(random.IntN(4))
				d[headerSize+6+random.IntN(6)] = byte(random.Uint32())
			}
		default:
			d[at] ^= byte(1 + random.IntN(255))
		}
	}
	return d
}
