package capability

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// Limits bound what an adapter does through one capability. A zero field means its default.
type Limits struct {
	Requests  int           // in one operation; default 32
	PerMinute int           // over all operations; default 1200
	Timeout   time.Duration // of one request; default 5 s
}

func (l Limits) withDefaults() Limits {
	if l.Requests == 0 {
		l.Requests = 32
	}
	if l.PerMinute == 0 {
		l.PerMinute = 1200
	}
	if l.Timeout == 0 {
		l.Timeout = 5 * time.Second
	}
	return l
}

// Store keeps what an adapter has to remember, for the kv kind. Its methods may be called by several goroutines.
type Store interface {
	Get(ctx context.Context, key string) (value []byte, found bool, err error)
	// Set refuses with ErrStoreFull what would take keys and values beyond most bytes.
	Set(ctx context.Context, key string, value []byte, most uint64) error
	Delete(ctx context.Context, key string) error
}

// ErrStoreFull is returned by a Store.
var ErrStoreFull = errors.New("the store is full")

// Config is what the capabilities of one adapter work with.
type Config struct {
	Offers   []Offer
	Root     string // of the file system: "/" but for recorded trees
	Store    Store  // needed for kv
	CoAP     CoAP   // needed for coap
	Limits   Limits
	Resolver Resolver         // nil: the system's
	Now      func() time.Time // nil: time.Now
}

// Set is what one adapter was granted.
type Set struct {
	opened []opened
	closes []io.Closer
}

// opened is one capability: what sessions share.
type opened struct {
	request wasmabi.CapabilityRequest
	port    port
	limits  Limits
	pace    *pace
}

// port does what one kind of handle does.
type port interface {
	call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error)
}

// Open makes a Set of requests that Judge has passed. It opens neither files nor connections.
func Open(requests []wasmabi.CapabilityRequest, c Config) *Set {
	s := &Set{}
	c.Limits = c.Limits.withDefaults()
	if c.Now == nil {
		c.Now = time.Now
	}
	for i := range requests {
		r := &requests[i]
		s.opened = append(s.opened, opened{*r, s.open(r, c), c.Limits, &pace{now: c.Now, perMinute: c.Limits.PerMinute}})
	}
	return s
}

func (s *Set) open(r *wasmabi.CapabilityRequest, c Config) port {
	switch r.Kind {
	case wasmabi.CapabilityHTTP:
		h := newHTTP(r, c)
		s.closes = append(s.closes, h)
		return h
	case wasmabi.CapabilityFile:
		return newFile(r, c)
	case wasmabi.CapabilityKV:
		return kv{c.Store, bytesOf(r)}
	case wasmabi.CapabilityCoAP:
		return newCoAP(r, c)
	}
	return nothing{r.Kind}
}

// Handles returns the handles of one session, in the order of the requests.
func (s *Set) Handles() []host.Handle {
	all := make([]host.Handle, len(s.opened))
	for i := range s.opened {
		all[i] = &handle{opened: &s.opened[i]}
	}
	return all
}

// Close gives connections back.
func (s *Set) Close() error {
	var errs []error
	for _, c := range s.closes {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// handle is a capability in one session.
type handle struct {
	*opened
	requests int
}

// Call implements host.Handle.
func (h *handle) Call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	what := "use " + h.request.Kind + " " + h.request.Name
	h.requests++
	if h.requests > h.limits.Requests {
		return dst, limited(what, "one operation may make %d requests", h.limits.Requests)
	}
	if wait := h.pace.take(); wait > 0 {
		return dst, limited(what, "%d requests a minute are permitted; the next in %s", h.limits.PerMinute, wait.Round(time.Millisecond))
	}
	ctx, cancel := context.WithTimeout(ctx, h.limits.Timeout)
	defer cancel()
	return h.port.call(ctx, op, in, dst)
}

// nothing answers for a kind that this build does not know.
type nothing struct{ kind string }

func (n nothing) call(_ context.Context, _ uint32, _, dst []byte) ([]byte, error) {
	return dst, denied("use "+n.kind, "this node has nothing of the kind")
}

func unknownOp(kind string, op uint32) error {
	return &Error{Code: wasmabi.CodeFailed, Op: "use " + kind, Why: "operation " + decimal(op) + " does not exist", status: host.ErrInvalid}
}

// pace is a token bucket: perMinute at once, refilled evenly.
type pace struct {
	now       func() time.Time
	perMinute int

	mu     sync.Mutex
	tokens float64
	at     time.Time
}

// take uses a token up, or says how long until there is one.
func (p *pace) take() (wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, most := p.now(), float64(p.perMinute)
	if p.at.IsZero() {
		p.tokens = most
	} else {
		p.tokens = min(most, p.tokens+most*now.Sub(p.at).Minutes())
	}
	p.at = now
	if p.tokens < 1 {
		return time.Duration((1 - p.tokens) / most * float64(time.Minute))
	}
	p.tokens--
	return 0
}
