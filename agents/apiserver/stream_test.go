package apiserver_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/apiserver"
)

func TestWatchPolicies(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	upload(t, s, "a", "1.0.0")
	var got []string
	for change, err := range s.client.WatchPolicies(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if change.Type == api.ChangeListed {
			continue
		}
		line := change.Type + " " + change.Name
		if change.Item != nil {
			line += " " + change.Item.ActiveVersion + " " + string(change.Item.State)
		}
		got = append(got, line)
		switch len(got) {
		case 1:
			upload(t, s, "a", "1.1.0")
		case 2:
			s.client.DisablePolicy(ctx, "a")
		case 3:
			s.client.DeletePolicy(ctx, "a")
		case 4:
			cancel()
		}
	}
	want := []string{"present a 1.0.0 active", "changed a 1.1.0 active", "changed a 1.1.0 disabled", "gone a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func upload(t *testing.T, s *served, name, version string) {
	t.Helper()
	if _, err := s.client.UploadPolicy(t.Context(), module(t, name, version), api.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestWatchDecisionsFilters(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.agent.Record(decision("d1"))
	var got []string
	for change, err := range s.client.WatchDecisions(ctx, api.DecisionFilter{Policy: "load-follower"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, change.Type+" "+change.Name)
		if change.Type == api.ChangePresent {
			continue
		}
		if change.Type == api.ChangeListed {
			other := decision("d2")
			other.Policy = "other"
			s.agent.Record(other)
			s.agent.Record(decision("d3"))
			continue
		}
		cancel()
	}
	if diff := cmp.Diff([]string{"present d1", "listed ", "changed d3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestEventsResume(t *testing.T) {
	s := serve(t)
	for i := range 3 {
		s.agent.Record(decision(fmt.Sprint("d", i)))
	}
	next := func(after uint64) api.Event {
		for event, err := range s.client.Events(t.Context(), after) {
			if err != nil {
				t.Fatal(err)
			}
			return event
		}
		panic("unreachable")
	}
	if got := next(1); got.Seq != 2 || got.Name != "d1" {
		t.Errorf("after 1 came %+v", got)
	}
	if got := next(99); got.Kind != api.EventGap {
		t.Errorf("after an event of another life came %+v", got)
	}
	for range 600 {
		s.agent.Events.Publish(api.Event{Resource: api.ResourceDaemon})
	}
	if got := next(1); got.Kind != api.EventGap {
		t.Errorf("after an event that is not kept came %+v", got)
	}
}

func TestStopEndsStreams(t *testing.T) {
	s := serve(t)
	s.agent.Record(decision("d1"))
	s.agent.Record(decision("d2"))
	var last api.Event
	for event, err := range s.client.Events(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		last = event
		if event.Name == "d2" {
			go s.stop()
		}
	}
	if last.Kind != api.EventDaemonStopping {
		t.Errorf("the last event is %+v", last)
	}
	s.client.Close()
}

func TestStreamsAreBounded(t *testing.T) {
	s := serve(t, func(c *apiserver.Config) { c.Events = apiserver.NewEvents(1) })
	response, err := s.raw(t).Get("http://edgehold/v1/events")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if p := s.fails(t, "GET", "/v1/events", "", nil, 0); p.Code != "api.too-many-streams" {
		t.Errorf("got %+v", p)
	}
}

func TestSlowReaderIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := apiserver.NewEvents(1)
		slow, cancel := apiserver.Subscribe(events)
		defer cancel()
		for range 1000 {
			events.Publish(api.Event{}) // never waits
		}
		count := 0
		for range slow.Events() {
			count++
		}
		if slow.Last().Kind != api.EventDropped || count == 0 || count >= 1000 {
			t.Errorf("%d events, the last is %+v", count, slow.Last())
		}
		if again, cancel := apiserver.Subscribe(events); again == nil {
			t.Error("the place was not given back")
		} else {
			cancel()
		}
	})
}
