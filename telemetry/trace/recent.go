package trace

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// Record is a span that has ended.
type Record struct {
	TraceID  string
	SpanID   string
	ParentID string // empty for the first of a trace
	Name     string
	Start    time.Time
	Duration time.Duration
	Failure  string // empty if it went well
	Attrs    []Attr
	Events   []Event
}

// Attr is an attribute as text.
type Attr struct{ Name, Value string }

// Event is something that happened during a span.
type Event struct {
	Time  time.Time
	Name  string
	Attrs []Attr
}

// Trace returns what is in memory of one trace, in the order of starting.
func (t *Tracer) Trace(id string) []Record {
	found := t.recent.find(func(s sdk.ReadOnlySpan) bool { return s.SpanContext().TraceID().String() == id })
	slices.SortStableFunc(found, func(a, b Record) int { return a.Start.Compare(b.Start) })
	return found
}

// Recent returns up to n spans, the newest first.
func (t *Tracer) Recent(n int) []Record {
	found := t.recent.find(func(sdk.ReadOnlySpan) bool { return true })
	slices.Reverse(found)
	return found[:min(max(n, 0), len(found))]
}

// Ended counts the spans that have ended.
func (t *Tracer) Ended() uint64 {
	t.recent.mu.Lock()
	defer t.recent.mu.Unlock()
	return t.recent.ended
}

// recent keeps the last spans. It is a span processor of the SDK.
type recent struct {
	mu    sync.Mutex
	spans []sdk.ReadOnlySpan // a circle once it is full
	next  int                // where the next span goes
	most  int
	ended uint64
}

func newRecent(most int) *recent { return &recent{most: most} }

func (*recent) OnStart(context.Context, sdk.ReadWriteSpan) {}
func (*recent) Shutdown(context.Context) error             { return nil }
func (*recent) ForceFlush(context.Context) error           { return nil }

// OnEnd keeps s, which no longer changes.
func (r *recent) OnEnd(s sdk.ReadOnlySpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
	if len(r.spans) < r.most {
		r.spans = append(r.spans, s)
		return
	}
	r.spans[r.next] = s
	r.next = (r.next + 1) % r.most
}

// find returns the records of the spans that match, in the order of ending.
func (r *recent) find(match func(sdk.ReadOnlySpan) bool) []Record {
	r.mu.Lock()
	all := slices.Concat(r.spans[r.next:], r.spans[:r.next])
	r.mu.Unlock()
	var found []Record
	for _, s := range all {
		if match(s) {
			found = append(found, record(s))
		}
	}
	return found
}

func record(s sdk.ReadOnlySpan) Record {
	r := Record{
		TraceID: s.SpanContext().TraceID().String(), SpanID: s.SpanContext().SpanID().String(),
		Name: s.Name(), Start: s.StartTime(), Duration: s.EndTime().Sub(s.StartTime()),
	}
	if s.Parent().HasSpanID() {
		r.ParentID = s.Parent().SpanID().String()
	}
	if s.Status().Code == codes.Error {
		r.Failure = s.Status().Description
		if r.Failure == "" {
			r.Failure = "failed"
		}
	}
	for _, kv := range s.Attributes() {
		r.Attrs = append(r.Attrs, Attr{string(kv.Key), kv.Value.String()})
	}
	for _, e := range s.Events() {
		event := Event{Time: e.Time, Name: e.Name}
		for _, kv := range e.Attributes {
			event.Attrs = append(event.Attrs, Attr{string(kv.Key), kv.Value.String()})
		}
		r.Events = append(r.Events, event)
	}
	return r
}
