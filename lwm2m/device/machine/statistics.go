package machine

import (
	"fmt"
	"sync"
	"time"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
)

// Resources of object 7.
const (
	statisticsSent     = 2
	statisticsReceived = 3
	statisticsLargest  = 4
	statisticsAverage  = 5
	statisticsStart    = 6
	statisticsStop     = 7
	statisticsPeriod   = 8
)

var statisticsDefinition = client.Definition{ID: 7, Resources: []client.Resource{
	{ID: statisticsSent, Name: "Tx Data", Kind: lwm2m.KindInteger, Operations: client.Readable, Sampled: true},
	{ID: statisticsReceived, Name: "Rx Data", Kind: lwm2m.KindInteger, Operations: client.Readable, Sampled: true},
	{ID: statisticsLargest, Name: "Max Message Size", Kind: lwm2m.KindInteger, Operations: client.Readable, Sampled: true},
	{ID: statisticsAverage, Name: "Average Message Size", Kind: lwm2m.KindInteger, Operations: client.Readable, Sampled: true},
	{ID: statisticsStart, Name: "Start", Operations: client.Executable, Mandatory: true},
	{ID: statisticsStop, Name: "Stop", Operations: client.Executable, Mandatory: true},
	{ID: statisticsPeriod, Name: "Collection Period", Kind: lwm2m.KindInteger, Operations: client.ReadWrite},
}}

// maxPeriod bounds a collection: a year.
const maxPeriod = 365 * 86400

// Statistics is object 7, over what a client's transports count. It collects from Start until Stop, or for the Collection Period.
type Statistics struct {
	traffic *client.Traffic

	mu       sync.Mutex
	period   time.Duration
	running  bool
	from, to tally // to counts once it is not running
	timer    *time.Timer
	round    int // of collections, to tell their timers apart
	announce func(lwm2m.Path)
}

// tally is the state of the counters at one time.
type tally struct{ sent, received, messages, largest uint64 }

// NewStatistics makes object 7.
func NewStatistics(t *client.Traffic) *Statistics {
	return &Statistics{traffic: t, announce: func(lwm2m.Path) {}}
}

// Definition implements client.Object.
func (s *Statistics) Definition() *client.Definition { return &statisticsDefinition }

// Instances implements client.Object.
func (s *Statistics) Instances(dst []uint16) []uint16 { return append(dst, 0) }

// Announce implements client.Announcer.
func (s *Statistics) Announce(changed func(lwm2m.Path)) { s.announce = changed }

// Read implements client.Object.
func (s *Statistics) Read(dst lwm2m.Tree, p lwm2m.Path) (lwm2m.Tree, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.to
	if s.running {
		now = s.tally()
	}
	switch p.Resource() {
	case statisticsSent:
		return one(dst, p, lwm2m.Integer(int64(now.sent-s.from.sent)/1000)), nil
	case statisticsReceived:
		return one(dst, p, lwm2m.Integer(int64(now.received-s.from.received)/1000)), nil
	case statisticsLargest:
		return one(dst, p, lwm2m.Integer(int64(now.largest))), nil
	case statisticsAverage:
		return one(dst, p, lwm2m.Integer(now.average(s.from))), nil
	case statisticsPeriod:
		return one(dst, p, lwm2m.Integer(int64(s.period/time.Second))), nil
	default:
		return dst, nil
	}
}

func (t tally) average(from tally) int64 {
	messages := t.messages - from.messages
	if messages == 0 {
		return 0
	}
	return int64((t.sent + t.received - from.sent - from.received) / messages)
}

func (s *Statistics) tally() tally {
	t := s.traffic
	return tally{t.SentBytes.Load(), t.ReceivedBytes.Load(), t.SentMessages.Load() + t.ReceivedMessages.Load(), t.Largest.Load()}
}

// Write implements client.Writer: of the period, which counts from the next Start.
func (s *Statistics) Write(_ lwm2m.Path, t lwm2m.Tree, _ client.WriteMode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range t {
		seconds := r.Value.Integer()
		if seconds < 0 || seconds > maxPeriod {
			return fmt.Errorf("%s of %d s: %w", r.Path, seconds, client.ErrBadRequest)
		}
		s.period = time.Duration(seconds) * time.Second
		s.announce(r.Path)
	}
	return nil
}

// Execute implements client.Executor.
func (s *Statistics) Execute(p lwm2m.Path, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
	if p.Resource() == statisticsStart {
		s.start()
	}
	s.announce(lwm2m.PathOf(7, 0))
	return nil
}

func (s *Statistics) start() {
	s.traffic.Largest.Store(0)
	s.from, s.running = s.tally(), true
	s.round++
	if round := s.round; s.period > 0 {
		s.timer = time.AfterFunc(s.period, func() { s.expire(round) })
	}
}

func (s *Statistics) stop() {
	if s.running {
		s.to, s.running = s.tally(), false
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

// expire ends a collection, if it is still the one that goes on.
func (s *Statistics) expire(round int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running && s.round == round {
		s.stop()
		s.announce(lwm2m.PathOf(7, 0))
	}
}

// Close ends a collection.
func (s *Statistics) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}
