package server

import (
	"context"
	"fmt"
	"testing"
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
