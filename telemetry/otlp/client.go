package otlp

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	common "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// client is one instance of a service, as its resource names it.
type client struct {
	all    *clients
	mu     sync.Mutex
	name   string
	series map[string]*entry
	seenMS int64
}

// entry is one series of a client.
type entry struct {
	series *ring.Series
	seenMS int64   // when it was fed last, by our clock
	lastMS int64   // time of its last point, by the client's
	total  float64 // of deltas
}

// clients knows who sends. Its lock is taken before a client's, never after.
type clients struct {
	series  atomic.Int64 // of all clients
	mu      sync.Mutex
	byName  map[string]*client
	sweptMS int64
}

// get finds the client or makes it; nil if there are too many.
func (c *clients) get(name string, nowMS int64, limit *Config) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.byName[name]
	if found == nil {
		if len(c.byName) >= limit.MaxClients {
			c.sweep(nowMS, limit)
		}
		if len(c.byName) >= limit.MaxClients {
			return nil
		}
		found = &client{all: c, name: name, series: make(map[string]*entry)}
		c.byName[name] = found
	}
	found.seenMS = nowMS // written and read under c.mu
	return found
}

// sweep forgets clients that were idle, at most once a second.
func (c *clients) sweep(nowMS int64, limit *Config) {
	if nowMS >= c.sweptMS && nowMS-c.sweptMS < 1000 {
		return
	}
	c.sweptMS = nowMS
	for name, one := range c.byName {
		if nowMS-one.seenMS > limit.Idle.Milliseconds() {
			delete(c.byName, name)
			one.mu.Lock()
			c.series.Add(-int64(len(one.series)))
			clear(one.series)
			one.mu.Unlock()
		}
	}
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byName)
}

// entry finds the series or makes it, within the client's bound; c.mu is held.
func (c *client) entry(store *ring.Store, name string, sorted []ring.Label, nowMS int64, limit *Config) (*entry, error) {
	var buf [512]byte
	key := appendKey(buf[:0], name, sorted)
	if e := c.series[string(key)]; e != nil {
		e.seenMS = nowMS
		return e, nil
	}
	if err := c.makeRoom(nowMS, limit); err != nil {
		return nil, err
	}
	series, err := store.Series(name, sorted...)
	if err != nil {
		return nil, err
	}
	e := &entry{series: series, seenMS: nowMS}
	c.series[string(key)] = e
	c.all.series.Add(1)
	return e, nil
}

// makeRoom finds room for one series within the bounds of the client and of all.
func (c *client) makeRoom(nowMS int64, limit *Config) error {
	if len(c.series) >= limit.MaxSeries && !c.forgetIdle(nowMS, limit) {
		return fmt.Errorf("client %s has %d series, and that is its bound", c.name, len(c.series))
	}
	if n := c.all.series.Load(); n >= int64(limit.MaxSeriesInAll) && !c.forgetIdle(nowMS, limit) {
		return fmt.Errorf("all clients together have %d series, and that is their bound", n)
	}
	return nil
}

// forgetIdle reports whether it made room.
func (c *client) forgetIdle(nowMS int64, limit *Config) bool {
	before := len(c.series)
	for key, e := range c.series {
		if nowMS-e.seenMS > limit.Idle.Milliseconds() {
			delete(c.series, key)
		}
	}
	c.all.series.Add(int64(len(c.series) - before))
	return len(c.series) < before
}

func appendKey(dst []byte, name string, sorted []ring.Label) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(name))), name...)
	for _, l := range sorted {
		dst = append(binary.AppendUvarint(dst, uint64(len(l.Name))), l.Name...)
		dst = append(binary.AppendUvarint(dst, uint64(len(l.Value))), l.Value...)
	}
	return dst
}

// identity is what a resource says about its sender.
type identity struct{ namespace, service, instance string }

func identify(attrs []*common.KeyValue) identity {
	var id identity
	for _, kv := range attrs {
		switch kv.GetKey() {
		case "service.namespace":
			id.namespace = text(kv.GetValue())
		case "service.name":
			id.service = text(kv.GetValue())
		case "service.instance.id":
			id.instance = text(kv.GetValue())
		}
	}
	return id
}

// job is the label that Prometheus has for a service.
func (id identity) job() string {
	if id.namespace != "" && id.service != "" {
		return id.namespace + "/" + id.service
	}
	return id.service
}

func (id identity) client() string {
	name := id.job()
	if name == "" {
		name = "unknown_service"
	}
	if id.instance != "" {
		name += "@" + id.instance
	}
	return name[:min(len(name), 256)]
}
