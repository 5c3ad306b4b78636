package dtls

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestHammer has devices talk while their associations fall asleep, are saved, move, and are dialled anew; no sequence number
// is used twice, and nobody hears another's messages.
func TestHammer(t *testing.T) {
	const devices, messages = 6, 150
	server := start(t, Config{PSK: testPSK, States: &memoryStates{}, Idle: time.Millisecond, MaxPerPrincipal: devices})
	server.echo.Store(true)
	var group sync.WaitGroup
	for n := range devices {
		name := []string{"alice", "bob"}[n%2]
		nat := startRelay(t, server.addr)
		device := start(t, Config{Credentials: as(name), Idle: time.Millisecond})
		gateway := device.dial(nat.addr())
		group.Go(func() {
			for i := range messages {
				if err := device.Send(gateway, fmt.Appendf(nil, "%s %d %d", name, n, i)); err != nil {
					t.Error(err)
				}
				if i%40 == 20 {
					nat.rebind()
				}
				if i%10 == 0 {
					time.Sleep(3 * time.Millisecond) // longer than Idle
				}
			}
			last := fmt.Sprintf("%s %d last", name, n)
			device.await(last, func() bool {
				_ = device.Send(gateway, []byte(last)) // the network may lose some
				return slices.ContainsFunc(device.got, func(r received) bool { return r.message == last })
			})
			for _, message := range device.messages() {
				if prefix := fmt.Sprintf("%s %d ", name, n); message[:min(len(prefix), len(message))] != prefix {
					t.Errorf("%s heard %q", prefix, message)
				}
			}
			for direction, sent := range map[string][]uint64{"up": nonces(nat.sent(), idSize), "down": nonces(nat.received(), 0)} {
				slices.Sort(sent)
				if unique := slices.Compact(slices.Clone(sent)); len(unique) != len(sent) {
					t.Errorf("%s: sequence numbers were used twice", direction)
				}
			}
		})
	}
	group.Wait()
	if stats := server.Stats(); stats.Moved == 0 || stats.Dropped > 0 || stats.NotSaved > 0 {
		t.Errorf("stats %+v", stats)
	}
}
