package server

import (
	"context"
	"fmt"
	"testing"

	"github.com/edgehold/edgehold/lwm2m"
)

func TestSlowSubscriber(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		slow := r.server.Subscribe(16)
		for n := range 20 {
			r.server.emit(Event{Kind: Updated, Endpoint: fmt.Sprint(n)})
		}
		next := func() string {
			e, err := slow.Next(r.t.Context())
			must(r.t, err)
			return fmt.Sprint(e.Kind, " ", e.Endpoint, e.Count)
		}
		for n := range 16 {
			if got := next(); got != fmt.Sprintf("updated %d0", n) {
				t.Fatalf("event %d is %s", n, got)
			}
		}
		if got := next(); got != "missed 4" {
			t.Errorf("then %s", got)
		}
		for n := range 17 {
			r.server.emit(Event{Kind: Updated, Endpoint: fmt.Sprint("b", n)})
		}
		for range 2 {
			next()
		}
		r.server.emit(Event{Kind: Updated, Endpoint: "after"}) // what was missed stands before it
		var last []string
		for range 16 {
			last = append(last, next())
		}
		if last[14] != "missed 1" || last[15] != "updated after0" {
			t.Errorf("ends with %v", last[13:])
		}
		ctx, stop := context.WithCancel(r.t.Context())
		stop()
		if _, err := slow.Next(ctx); err != context.Canceled {
			t.Errorf("next: %v", err)
		}
		slow.Close()
		r.server.emit(Event{Kind: Updated, Endpoint: "x"})
		if e, ok := slow.take(); ok {
			t.Errorf("closed, and got %v", e)
		}
		if len(r.server.subscriptions) != 1 {
			t.Errorf("%d subscriptions", len(r.server.subscriptions))
		}
	})
}

func TestSlowSubscriberHoldsFewValues(t *testing.T) {
	bubble(t, Config{}, func(r *rig) {
		slow := r.server.Subscribe(65536)
		defer slow.Close()
		tree := make(lwm2m.Tree, 32768)
		fits := subscriptionBytes / tree.Size()
		for range 2 * fits {
			r.server.emit(Event{Kind: Sent, Endpoint: "loud", Tree: tree})
		}
		if len(slow.events) != fits {
			t.Errorf("it holds %d large events, want %d", len(slow.events), fits)
		}
		taken, missed := 0, 0
		for e, ok := slow.take(); ok; e, ok = slow.take() {
			taken++
			missed += e.Count
		}
		if taken != fits+1 || missed != fits || slow.bytes != 0 {
			t.Errorf("it got %d events, missed %d and has %d bytes in the end", taken, missed, slow.bytes)
		}
		r.server.emit(Event{Kind: Sent, Endpoint: "loud", Tree: tree})
		if e, ok := slow.take(); !ok || e.Kind != Sent {
			t.Errorf("after that it gets %v", e)
		}
	})
}
