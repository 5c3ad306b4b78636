package gateway

import (
	"testing"
	"time"
)

func TestBacklogOfOneDeviceIsNobodyElses(t *testing.T) {
	var b backlog
	b.init()
	now := time.Now()
	enter := func(endpoint string, bytes int) (ok, tell bool) {
		t.Helper()
		_, ok, tell = b.enter(endpoint, bytes, now)
		return ok, tell
	}
	events := 0
	for {
		ok, tell := enter("loud", 1)
		if !ok {
			if !tell {
				t.Error("the first event without room is not logged")
			}
			break
		}
		events++
	}
	if events != backlogOfDevice/backlogLeast {
		t.Errorf("a device has room for %d small events, want %d", events, backlogOfDevice/backlogLeast)
	}
	if _, tell := enter("loud", 1); tell {
		t.Error("each event without room is logged")
	}
	if ok, _ := enter("quiet", 3<<20); !ok {
		t.Error("a device has no room because another has too much")
	}
	if ok, _ := enter("quiet", 3<<20); ok {
		t.Error("a device has room for two events of 3 MiB")
	}
	if ok, _ := enter("large", backlogOfDevice+1); !ok {
		t.Error("an event alone has no room")
	}
	b.leave("loud", backlogLeast)
	if ok, _ := enter("loud", 1); !ok {
		t.Error("there is no room after an event was published")
	}
}

func TestBacklogOfAll(t *testing.T) {
	var b backlog
	b.init()
	taken := map[string]int{}
	for _, endpoint := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"} {
		if size, ok, _ := b.enter(endpoint, backlogOfDevice, time.Now()); ok {
			taken[endpoint] = size
		}
	}
	if len(taken) != backlogOfAll/backlogOfDevice {
		t.Errorf("%d devices have their greatest backlog, want %d", len(taken), backlogOfAll/backlogOfDevice)
	}
	for endpoint, size := range taken {
		b.leave(endpoint, size)
	}
	if b.all != 0 || len(b.devices) != 0 {
		t.Errorf("%d bytes and %d devices are left of nothing", b.all, len(b.devices))
	}
}
