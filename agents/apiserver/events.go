package apiserver

import (
	"errors"
	"sync"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	defaultSubscribers = 32
	// subscriberBacklog is how many events a reader may lag behind before it is dropped.
	subscriberBacklog = 256
	// history is how many events are kept for readers who come back.
	history = 512
)

var errTooManyStreams = errors.New("too many streams")

// Events passes events from the daemon to every open stream. It never makes the publisher wait: a reader that lags too far
// behind is dropped and told so.
type Events struct {
	limit int

	mu      sync.Mutex
	seq     uint64
	kept    []api.Event // the newest, oldest first, at most history
	readers map[*subscription]struct{}
	closed  bool
}

// NewEvents returns a stream for at most limit readers at a time; 0 means 32.
func NewEvents(limit int) *Events {
	return &Events{limit: orDefault(limit, defaultSubscribers), readers: map[*subscription]struct{}{}}
}

// Publish numbers an event, gives it the time now unless it has one, and hands it to every reader.
func (e *Events) Publish(event api.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.seq++
	event.Seq = e.seq
	if event.At.IsZero() {
		event.At = time.Now().UTC()
	}
	if len(e.kept) == history {
		copy(e.kept, e.kept[1:])
		e.kept = e.kept[:history-1]
	}
	e.kept = append(e.kept, event)
	for reader := range e.readers {
		select {
		case reader.events <- event:
		default:
			e.end(reader, api.EventDropped, "the reader was too slow; read the lists again and reconnect")
		}
	}
}

// Close ends every stream with a last event.
func (e *Events) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for reader := range e.readers {
		e.end(reader, api.EventDaemonStopping, "the daemon is stopping")
	}
}

// end takes a reader off. The reason is set before the channel closes, so whoever sees it closed may read the reason.
func (e *Events) end(reader *subscription, kind, message string) {
	delete(e.readers, reader)
	reader.last = api.Event{Seq: e.seq, At: time.Now().UTC(), Resource: api.ResourceDaemon, Kind: kind, Message: message}
	close(reader.events)
}

// subscription is one reader.
type subscription struct {
	events chan api.Event
	// backlog is what the reader missed since the sequence number that it named.
	backlog []api.Event
	// last is the final event, valid once events is closed by [Events].
	last api.Event
}

// subscribe adds a reader. With after above zero the events after that number come first; if they are not all kept, a
// gap is reported in their place. The caller must call cancel.
func (e *Events) subscribe(after uint64) (_ *subscription, cancel func(), _ error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.readers) >= e.limit {
		return nil, nil, errTooManyStreams
	}
	reader := &subscription{events: make(chan api.Event, subscriberBacklog), backlog: e.since(after)}
	e.readers[reader] = struct{}{}
	return reader, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.readers, reader)
	}, nil
}

func (e *Events) since(after uint64) []api.Event {
	if after == 0 || after == e.seq {
		return nil
	}
	oldest := e.seq - uint64(len(e.kept)) + 1
	if after > e.seq || after+1 < oldest {
		return []api.Event{{Seq: e.seq, At: time.Now().UTC(), Resource: api.ResourceDaemon, Kind: api.EventGap,
			Message: "events were missed; read the lists again"}}
	}
	return append([]api.Event(nil), e.kept[after+1-oldest:]...)
}
