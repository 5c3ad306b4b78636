package apiserver

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/edgehold/edgehold/agents/api"
)

// TestEventsKeepTheirPromise publishes, subscribes, resumes, reads and leaves in any order. Whatever the order, a reader
// gets every event once and in turn from where it asked to begin, or is told of a gap first or of having been dropped last.
func TestEventsKeepTheirPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 3
		events := NewEvents(limit)
		var readers []*modelReader
		published := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				for range rapid.IntRange(1, 300).Draw(t, "events") {
					events.Publish(api.Event{})
					published++
				}
			},
			"subscribe": func(t *rapid.T) {
				after := rapid.Uint64Range(0, published+2).Draw(t, "after")
				s, cancel, err := events.subscribe(after)
				if err != nil {
					if live(readers) < limit {
						t.Fatalf("refused with %d readers: %v", live(readers), err)
					}
					return
				}
				if live(readers) >= limit {
					t.Fatal("one reader too many")
				}
				readers = append(readers, newModelReader(t, s, cancel, after, published))
			},
			"read": func(t *rapid.T) {
				for _, r := range readers {
					r.read(t, rapid.IntRange(0, 400).Draw(t, "events"))
				}
			},
			"leave": func(t *rapid.T) {
				if len(readers) > 0 {
					i := rapid.IntRange(0, len(readers)-1).Draw(t, "reader")
					readers[i].cancel()
					readers = append(readers[:i], readers[i+1:]...)
				}
			},
			"": func(t *rapid.T) {
				for _, r := range readers {
					r.lagging(t, published)
				}
			},
		})
		events.Close()
		for _, r := range readers {
			r.read(t, 2*subscriberBacklog)
			if !r.ended {
				t.Fatal("a reader was not ended")
			}
		}
	})
}

// modelReader knows which event must come next.
type modelReader struct {
	*subscription
	cancel func()
	next   uint64
	ended  bool
}

func newModelReader(t *rapid.T, s *subscription, cancel func(), after, published uint64) *modelReader {
	r := &modelReader{subscription: s, cancel: cancel, next: published + 1}
	if len(s.backlog) == 1 && s.backlog[0].Kind == api.EventGap {
		if after <= published && published-after <= history {
			t.Fatalf("a gap after %d of %d", after, published)
		}
		return r
	}
	if after > 0 && after <= published {
		r.next = after + 1
	}
	for _, event := range s.backlog {
		r.take(t, event)
	}
	if r.next != published+1 {
		t.Fatalf("the backlog after %d ends before %d of %d", after, r.next, published)
	}
	return r
}

func (r *modelReader) take(t *rapid.T, event api.Event) {
	if event.Seq != r.next {
		t.Fatalf("got event %d, want %d", event.Seq, r.next)
	}
	r.next++
}

func (r *modelReader) read(t *rapid.T, most int) {
	for range most {
		select {
		case event, open := <-r.events:
			if !open {
				r.ended = true
				return
			}
			r.take(t, event)
		default:
			return
		}
	}
}

// lagging checks that a reader is dropped exactly when its channel could not take an event.
func (r *modelReader) lagging(t *rapid.T, published uint64) {
	if r.last.Kind == "" && published+1-r.next > subscriberBacklog {
		t.Fatalf("a reader lags by %d events and was not dropped", published+1-r.next)
	}
}

// live counts the readers that were not dropped.
func live(readers []*modelReader) (n int) {
	for _, r := range readers {
		if r.last.Kind == "" {
			n++
		}
	}
	return n
}

// deadlined is a response that takes deadlines, and whose writes fail on demand.
type deadlined struct {
	*httptest.ResponseRecorder
	broken atomic.Bool
}

func (*deadlined) SetReadDeadline(time.Time) error  { return nil }
func (*deadlined) SetWriteDeadline(time.Time) error { return nil }

func (d *deadlined) Write(b []byte) (int, error) {
	if d.broken.Load() {
		return 0, errors.New("the reader is gone")
	}
	return d.ResponseRecorder.Write(b)
}

func always() bool { return true }

// TestQuietStreamEndsWithItsToken ends a stream on which nothing happens.
func TestQuietStreamEndsWithItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		var revoked atomic.Bool
		out, err := openStream(w, func() bool { return !revoked.Load() })
		if err != nil {
			t.Fatal(err)
		}
		reader, cancel, _ := NewEvents(1).subscribe(0)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			ended <- out.follow(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), reader, func([]api.Event) error { return nil })
		}()
		time.Sleep(10 * revocationInterval) // of the bubble's clock
		revoked.Store(true)
		at := time.Now()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(at); took > revocationInterval || !strings.Contains(w.Body.String(), api.EventRevoked) {
			t.Errorf("it ended after %v with %q", took, w.Body)
		}
	})
}

func TestQuietStreamIsKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
		out, err := openStream(w, always)
		if err != nil {
			t.Fatal(err)
		}
		reader, cancel, _ := NewEvents(1).subscribe(0)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			ended <- out.follow(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), reader, func([]api.Event) error { return nil })
		}()
		time.Sleep(3*keepAliveInterval + time.Second) // of the bubble's clock
		synctest.Wait()
		if got := strings.Count(w.Body.String(), ": still here"); got != 3 {
			t.Errorf("%d signs of life in 46 s, want 3", got)
		}
		w.broken.Store(true)
		if err := <-ended; err == nil {
			t.Error("the stream went on without a reader")
		}
	})
}
