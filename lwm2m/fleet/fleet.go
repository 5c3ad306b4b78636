package fleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// Fleet is a fleet of simulated devices.
type Fleet struct {
	config   Config
	lifetime string // as a query parameter
	shards   [shards]*shard
}

// New makes a fleet, and its sockets. Its devices begin when Run is called.
func New(config Config) (*Fleet, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	f := &Fleet{config: config, lifetime: "lt=" + strconv.Itoa(int(config.Lifetime.Seconds()))}
	for n := range f.shards {
		socket, err := open()
		if err != nil {
			f.close()
			return nil, fmt.Errorf("open a socket for a fleet: %w", err)
		}
		f.shards[n] = newShard(f, n, socket)
	}
	return f, nil
}

func (f *Fleet) close() {
	for _, s := range f.shards {
		if s != nil {
			_ = s.socket.Close()
		}
	}
}

// Run simulates until ctx is done.
func (f *Fleet) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	start := time.Now()
	for _, s := range f.shards {
		s.start = start
		s.begin()
		group.Go(s.read)
		group.Go(func() error { s.keepTime(ctx); return nil })
	}
	group.Go(func() error {
		<-ctx.Done()
		f.close()
		return nil
	})
	return group.Wait()
}

// Stats returns what has happened so far.
func (f *Fleet) Stats() Stats {
	var all Stats
	for _, s := range f.shards {
		s.mu.Lock()
		all.merge(&s.stats)
		s.mu.Unlock()
	}
	return all
}

// ResetLatencies begins new histograms.
func (f *Fleet) ResetLatencies() {
	for _, s := range f.shards {
		s.mu.Lock()
		s.stats.Registration, s.stats.Update = Histogram{}, Histogram{}
		s.mu.Unlock()
	}
}

// name is a device's endpoint name.
func (f *Fleet) name(index int) string {
	return fmt.Sprintf("%s%06d", f.config.Prefix, index)
}

// Name returns the endpoint name of a device, from 0.
func (f *Fleet) Name(index int) string { return f.name(index) }

// address returns the address of a device in one of its generations, in 127/8 above 127.1.0.0.
func address(index int, generation uint8) [4]byte {
	n := 1<<16 + index*generations + int(generation)
	return [4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)}
}

// deviceAt is the inverse of address.
func deviceAt(a [4]byte) (index int, generation uint8) {
	n := int(a[1])<<16 | int(a[2])<<8 | int(a[3])
	n -= 1 << 16
	if a[0] != 127 || n < 0 {
		return -1, 0
	}
	return n / generations, uint8(n % generations)
}

// socket sends from and hears for many addresses.
type socket struct {
	*net.UDPConn
	control []byte // what says where a datagram is from
	source  []byte // the address in it
}

func newRandom(seed uint64, shard int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(shard))) }

// Renew has all devices that are registered update, spread evenly over a time from now.
func (f *Fleet) Renew(over time.Duration) {
	for _, s := range f.shards {
		s.renew(over)
	}
}
