package gateway

import (
	"sync"
	"time"
)

// Bounds of what waits to be published. A tree takes many times the memory of the payload that it came from, so what counts is the tree.
const (
	backlogOfDevice = 4 << 20  // bytes
	backlogOfAll    = 64 << 20 // bytes
	backlogLeast    = 8 << 10  // bytes that any event counts, so that those of one device never fill a line
	backlogTell     = time.Minute
)

// backlog bounds what devices have told and is not published yet: of each, so that one that never stops neither delays the
// others for long nor takes their room, and of all.
type backlog struct {
	mu      sync.Mutex
	devices map[string]int // bytes, of those that have any
	all     int
	told    time.Time // when a device was last said to be too much
}

func (b *backlog) init() { b.devices = map[string]int{} }

// enter takes an event in, as what size it returns. If there is no room for it, tell says whether that is to be logged.
func (b *backlog) enter(endpoint string, bytes int, now time.Time) (size int, ok, tell bool) {
	size = max(bytes, backlogLeast)
	b.mu.Lock()
	defer b.mu.Unlock()
	has := b.devices[endpoint]
	if has > 0 && has+size > backlogOfDevice || b.all > 0 && b.all+size > backlogOfAll {
		if tell = now.Sub(b.told) >= backlogTell; tell {
			b.told = now
		}
		return 0, false, tell
	}
	b.devices[endpoint] = has + size
	b.all += size
	return size, true, false
}

// leave takes an event out.
func (b *backlog) leave(endpoint string, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all -= size
	if b.devices[endpoint] -= size; b.devices[endpoint] <= 0 {
		delete(b.devices, endpoint)
	}
}
