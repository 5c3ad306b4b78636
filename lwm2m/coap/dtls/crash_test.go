package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// nonces returns the sequence numbers of the protected records in datagrams, whose connection ids have size bytes.
func nonces(datagrams [][]byte, size int) (list []uint64) {
	for _, datagram := range datagrams {
		for r, rest, ok := nextRecord(datagram, size); ok; r, rest, ok = nextRecord(rest, size) {
			if r.epoch == epochProtected {
				list = append(list, r.sequence)
			}
		}
	}
	return list
}

// killed stops a server as kill -9 would: what it says while it stops reaches neither the disk nor the network.
func killed(t *testing.T, server *node, states *memoryStates, nat *relay) *memoryStates {
	t.Helper()
	left := states.crash()
	nat.lossy(func(bool, []byte) bool { return true })
	server.stop()
	nat.lossy(nil)
	return left
}

// again starts the next process of a server, behind the same relay.
func again(t *testing.T, nat *relay, config Config) *node {
	t.Helper()
	next := start(t, config)
	nat.leadTo(next.addr)
	return next
}

// saved waits until what is on disk is what the associations count on.
func saved(n *node) {
	n.t.Helper()
	states := n.config.States.(*memoryStates)
	n.await("saved states", func() bool {
		n.saver.mu.Lock()
		waiting := len(n.saver.dirty)
		n.saver.mu.Unlock()
		return waiting == 0 && !slices.ContainsFunc(n.table.all(), func(a *association) bool { return !states.hold(a) })
	})
}

// asleep puts all associations to sleep, and waits until they sleep on disk: nothing is reserved for what they receive.
func asleep(n *node) {
	n.t.Helper()
	n.hibernate(time.Now().Add(time.Hour))
	n.await("sleep", func() bool {
		return !slices.ContainsFunc(n.table.all(), func(a *association) bool {
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.holdFrom != a.window.next
		})
	})
	saved(n)
}

// TestRestart: an association goes on in the next process, however the last one ended, without a handshake.
func TestRestart(t *testing.T) {
	for _, c := range []struct {
		name    string
		end     func(*testing.T, *node, *memoryStates, *relay) *memoryStates
		asleep  bool
		refused int // records from the device that the new process can't tell from replays
	}{
		{name: "stopped", end: func(_ *testing.T, n *node, s *memoryStates, _ *relay) *memoryStates { n.stop(); return s }},
		{name: "killed", end: killed, refused: receiveReserve},
		{name: "killed while the association slept", end: killed, asleep: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			states := &memoryStates{}
			server, device, nat := talk(t, Config{States: states})
			gateway := device.dial(nat.addr())
			peer := server.expect("hello")
			for range 10 {
				server.send(peer, "x")
			}
			saved(server)
			if c.asleep {
				asleep(server)
			}
			left := c.end(t, server, states, nat)
			next := again(t, nat, Config{PSK: testPSK, States: left})
			if owed := next.Owed(peer); owed != c.refused || next.Owed(peer) != 0 {
				t.Errorf("it owes %d, want %d, once", owed, c.refused)
			}
			next.send(peer, "first from the new process")
			device.expect("first from the new process")
			for i := range c.refused + 1 {
				device.send(gateway, fmt.Sprint("after ", i))
			}
			if from := next.expect(fmt.Sprint("after ", c.refused)); from != peer {
				t.Errorf("the peer is %v, and was %v", from, peer)
			}
			for _, datagram := range nat.sent() { // everything that was ever sent, again
				nat.inject(datagram)
			}
			device.send(gateway, "last")
			next.expect("last")
			for _, message := range next.messages() {
				if message == "hello" {
					t.Error("a record that the last process had accepted was accepted again")
				}
			}
			sent := nonces(nat.received(), 0)
			slices.Sort(sent)
			if unique := slices.Compact(slices.Clone(sent)); len(unique) != len(sent) {
				t.Errorf("sequence numbers were used twice: %v", sent)
			}
			if stats := next.Stats(); stats.Handshakes != 0 {
				t.Errorf("%d handshakes, want none", stats.Handshakes)
			}
		})
	}
}

// TestKilledAgainAndAgain: what is refused neither adds up nor is forgotten over processes that heard nothing.
func TestKilledAgainAndAgain(t *testing.T) {
	states := &memoryStates{}
	server, device, nat := talk(t, Config{States: states})
	gateway := device.dial(nat.addr())
	peer := server.expect("hello")
	saved(server)
	for i := range 5 {
		states = killed(t, server, states, nat)
		server = again(t, nat, Config{PSK: testPSK, States: states})
		if owed := server.Owed(peer); owed != receiveReserve {
			t.Errorf("process %d: it owes %d", i, owed)
		}
		server.send(peer, fmt.Sprint("from process ", i))
		device.expect(fmt.Sprint("from process ", i))
		saved(server)
	}
	for i := range receiveReserve + 1 {
		device.send(gateway, fmt.Sprint("after ", i))
	}
	server.expect(fmt.Sprint("after ", receiveReserve))
}

// TestKilledBeforeTheFirstSave: nothing is left, so nothing can go wrong: the device must shake hands, and can.
func TestKilledBeforeTheFirstSave(t *testing.T) {
	states := &memoryStates{gate: make(chan struct{})}
	server, device, nat := talk(t, Config{States: states})
	left := states.crash()
	close(states.gate)
	nat.lossy(func(bool, []byte) bool { return true })
	server.stop()
	nat.lossy(nil)
	next := again(t, nat, Config{PSK: testPSK, States: left})
	gateway := device.dial(nat.addr())
	device.send(gateway, "to nobody")
	next.await("record of a stranger", func() bool { return next.Stats().Strangers > 0 })
	_ = device.ClosePeer(gateway)
	device.send(device.dial(nat.addr()), "anew")
	next.expect("anew")
}

// TestSendLimit: without a durable reservation nothing is sent beyond the last one; the message is lost, and the next goes.
func TestSendLimit(t *testing.T) {
	states := &memoryStates{}
	server, device, _ := talk(t, Config{States: states})
	peer := server.expect("hello")
	saved(server)
	states.mu.Lock()
	states.fail = errors.New("the disk is full")
	states.mu.Unlock()
	for range 2 * sendReserve {
		server.send(peer, "x")
	}
	a, _ := server.table.find(ID(peer.Association))
	a.mu.Lock()
	next, limit := a.next, a.sendLimit
	a.mu.Unlock()
	if next > limit {
		t.Errorf("sequence number %d was used, and %d is what a crash goes on from", next-1, limit)
	}
	server.await("count of what was not saved", func() bool { return server.Stats().NotSaved > 0 && server.Stats().Dropped > 0 })
	states.mu.Lock()
	states.fail = nil
	states.mu.Unlock()
	server.await("reservation", func() bool {
		server.send(peer, "again")
		return slices.Contains(device.messages(), "again")
	})
}

// TestHeldRecord: a record whose acceptance a crash would forget is not acted on before it is durable.
func TestHeldRecord(t *testing.T) {
	states := &memoryStates{}
	server, device, nat := talk(t, Config{States: states})
	saved(server)
	asleep(server)
	states.mu.Lock()
	states.fail = errors.New("the disk is full")
	states.mu.Unlock()
	gateway := device.dial(nat.addr())
	device.send(gateway, "not durable")
	server.await("a drop", func() bool { return server.Stats().Dropped > 0 })
	if got := server.messages(); len(got) != 1 {
		t.Errorf("received %q, want nothing new", got)
	}
	states.mu.Lock()
	states.fail = nil
	states.mu.Unlock()
	server.await("durable again", func() bool {
		device.send(gateway, "durable")
		return slices.ContainsFunc(server.got, func(r received) bool { return r.message == "durable" })
	})
}

func TestClosedAssociationsAreNotKept(t *testing.T) {
	states := &memoryStates{}
	server, device, nat := talk(t, Config{States: states})
	saved(server)
	if states.len() != 1 {
		t.Fatalf("%d states, want 1", states.len())
	}
	_ = device.ClosePeer(device.dial(nat.addr()))
	server.await("removal", func() bool { return states.len() == 0 })
}

// TestDeviceRestart: a device goes on with its association too.
func TestDeviceRestart(t *testing.T) {
	server := start(t, Config{PSK: testPSK})
	states := &memoryStates{}
	device := start(t, Config{Credentials: as("alice"), States: states})
	gateway := device.dial(server.addr)
	device.send(gateway, "before")
	peer := server.expect("before")
	saved(device)
	device.stop()
	restarted := start(t, Config{Credentials: as("alice"), States: states})
	if resumed := restarted.dial(server.addr); resumed != gateway {
		t.Errorf("dialled %v, want %v", resumed, gateway)
	}
	restarted.send(gateway, "after")
	if from := server.expect("after"); from != peer {
		t.Errorf("the peer is %v, and was %v", from, peer)
	}
}

func TestDamagedStates(t *testing.T) {
	states := &memoryStates{}
	server, _, nat := talk(t, Config{States: states})
	saved(server)
	left := killed(t, server, states, nat)
	for id, b := range left.states {
		left.states[id] = b[:len(b)-1]
		left.states[id+1] = b // under another's id
	}
	next := again(t, nat, Config{PSK: testPSK, States: left})
	if stats := next.Stats(); stats.Active+stats.Asleep != 0 {
		t.Errorf("stats %+v, want no association", stats)
	}
	next.await("removal of what nobody can use", func() bool { return left.len() == 0 })
}

// TestUnreachableStates: an association that is found by its address alone, and whose address another has since been heard
// from, is no use to anybody after a restart, nor on the disk.
func TestUnreachableStates(t *testing.T) {
	s, _ := suiteOf(suites[0].id)
	states := &memoryStates{states: map[ID][]byte{}}
	for id, a := range map[ID]*association{3: {principal: "first"}, 4: {principal: "second"}} {
		a.id, a.suite = id, s
		states.states[id] = a.append(nil, netip.MustParseAddrPort("127.0.0.1:9"), 7, 9, false)
	}
	server := start(t, Config{PSK: testPSK, States: states})
	if stats := server.Stats(); stats.Active+stats.Asleep != 1 {
		t.Errorf("stats %+v, want one association", stats)
	}
	server.await("removal", func() bool { return states.len() == 1 })
}

func FuzzParseState(f *testing.F) {
	s, _ := suiteOf(suites[0].id)
	a := &association{id: 5, suite: s, principal: "ep", peerCID: []byte{1}, ownCID: true}
	f.Add(a.append(nil, netip.MustParseAddrPort("192.0.2.1:5684"), 7, 9, true))
	f.Add(binary.BigEndian.AppendUint16([]byte{stateVersion, 0}, uint16(suites[3].id)))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseState(b)
		if err != nil {
			return
		}
		again, err := parseState(a.append(nil, a.addr, a.next, a.window.floor, a.ahead > 0))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again.append(nil, again.addr, again.next, again.window.floor, again.ahead > 0), a.append(nil, a.addr, a.next, a.window.floor, a.ahead > 0)); diff != "" {
			t.Error(diff)
		}
		if a.next > maxSequence {
			if _, _, err := a.seal(nil, typeApplication, nil); err == nil {
				t.Error("a sequence number that no record has was used")
			}
		}
	})
}
