package coap

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is the error of an exchange with an endpoint whose Run has ended.
var ErrClosed = errors.New("endpoint is closed")

// Endpoint asks, answers and notifies over all its transports. Its methods may be called from anywhere, Handlers included.
type Endpoint struct {
	config      Config
	reliability Reliability
	limits      Limits
	log         *slog.Logger

	started  time.Time
	seed     maphash.Seed
	links    []*link
	shards   [shardCount]shard
	ids      []atomic.Uint32 // next message id, of all peers whose hash is here
	tokens   tokens
	workers  workers
	notified notified
	bodies   bodies
	guard    guard
	counts   counters

	jobs      sync.Pool // of *job
	exchanges sync.Pool // of *exchange

	stop context.CancelCauseFunc
	life context.Context // ends with Run
}

// shardCount is how many locks the peers that something goes on with are spread over.
const shardCount = 16

type shard struct {
	mu    sync.Mutex
	peers map[key]*peer
	spare []*peer // forgotten, to be used again
}

// New makes an endpoint, which does nothing before Run.
func New(config Config) (*Endpoint, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("make CoAP endpoint: %w", err)
	}
	e := &Endpoint{
		config: config, reliability: config.Reliability.withDefaults(), limits: config.Limits.withDefaults(), log: config.Logger,
		started: time.Now(), seed: maphash.MakeSeed(),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.life, e.stop = context.WithCancelCause(context.Background())
	for _, t := range config.Transports {
		e.links = append(e.links, &link{
			transport: t, traits: t.Traits(),
			history: history{capacity: e.limits.History, maxBytes: e.limits.HistoryBytes},
		})
	}
	for i := range e.shards {
		e.shards[i].peers = make(map[key]*peer)
	}
	e.ids = newMessageIDs(e.limits.Peers)
	e.workers.init(e.limits)
	e.bodies.init(e.limits)
	e.guard.init(e.limits)
	e.jobs.New = func() any { return new(job) }
	e.exchanges.New = func() any { return &exchange{outcome: make(chan outcome, 2)} }
	return e, nil
}

// Run serves all transports until ctx is done or one of them fails; then it ends what is going on, and returns when
// nothing runs any more. It is called once.
func (e *Endpoint) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var serving sync.WaitGroup
	for _, l := range e.links {
		serving.Go(func() {
			if err := l.transport.Serve(ctx, receiver{e, l}); err != nil {
				cancel(fmt.Errorf("serve CoAP over %s: %w", l.transport.Name(), err))
			}
		})
	}
	<-ctx.Done()
	e.stop(ErrClosed)
	serving.Wait()
	e.workers.close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// now is the time since e was made.
func (e *Endpoint) now() time.Duration { return time.Since(e.started) }

func (e *Endpoint) link(name string) *link {
	for _, l := range e.links {
		if l.transport.Name() == name {
			return l
		}
	}
	return nil
}

func (e *Endpoint) shard(hash uint64) *shard { return &e.shards[hash%shardCount] }

// NewToken is a token that nobody can guess (RFC 9175 section 4.2): for who must know it before it is sent.
func (e *Endpoint) NewToken() Token { return e.tokens.next() }

// tokens draws random tokens, several at a time.
type tokens struct {
	mu     sync.Mutex
	random [512]byte
	used   int
	filled bool
}

func (t *tokens) next() Token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.filled || t.used == len(t.random) {
		_, _ = rand.Read(t.random[:]) // never fails
		t.used, t.filled = 0, true
	}
	token := TokenOf(t.random[t.used : t.used+8])
	clear(t.random[t.used : t.used+8])
	t.used += 8
	return token
}

// newMessageIDs makes counters of message ids: as many as make it unlikely that one goes round within EXCHANGE_LIFETIME.
// RATIONALE.md says why peers share them.
func newMessageIDs(peers int) []atomic.Uint32 {
	n := 16
	for n < peers/4 && n < 1<<16 {
		n *= 2
	}
	ids := make([]atomic.Uint32, n)
	seed := make([]byte, 2*n)
	_, _ = rand.Read(seed)
	for i := range ids {
		ids[i].Store(uint32(seed[2*i])<<8 | uint32(seed[2*i+1]))
	}
	return ids
}

func (e *Endpoint) nextID(hash uint64) uint16 {
	return uint16(e.ids[hash/shardCount%uint64(len(e.ids))].Add(1))
}
