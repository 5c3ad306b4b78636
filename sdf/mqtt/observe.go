package mqtt

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"
)

// watched are the observations that clients hold. Several may hold one; the last to let go ends it, and who does not renew lets go.
type watched struct {
	config ServeConfig
	mu     sync.Mutex
	topics map[Topic][]hold
}

// hold is one client's. Nearly always a topic has one, so that they are a slice.
type hold struct {
	holder string
	until  int64 // Unix seconds
}

func find(holds []hold, holder string) int {
	return slices.IndexFunc(holds, func(h hold) bool { return h.holder == holder })
}

func (w *watched) init(config ServeConfig) {
	w.config, w.topics = config, map[Topic][]hold{}
	until := config.Now().Add(config.Lease).Unix()
	for _, t := range config.Observed {
		w.topics[t] = []hold{{"", until}}
	}
	w.config.Observed = nil // as many as there are devices
}

// hold notes that holder has t observed; why says when there is no room.
func (w *watched) hold(t Topic, holder string) (why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	holds := w.topics[t]
	until := w.config.Now().Add(w.config.Lease).Unix()
	if mine := find(holds, holder); mine >= 0 {
		holds[mine].until = until
		return ""
	}
	switch {
	case holds == nil && len(w.topics) >= w.config.MaxObserved:
		return fmt.Sprintf("%d properties are observed", len(w.topics))
	case len(holds) >= w.config.MaxWatchers:
		return fmt.Sprintf("%d clients observe it", len(holds))
	}
	if holds == nil {
		t = t.own()
	}
	w.topics[t] = append(holds, hold{unique.Make(holder).Value(), until})
	return ""
}

// own is t without the packet that it was read from, which its strings would keep; many things have the same objects and names.
func (t Topic) own() Topic {
	t.Thing, t.Object, t.Name = strings.Clone(t.Thing), unique.Make(t.Object).Value(), unique.Make(t.Name).Value()
	return t
}

// release takes a hold back. last: nobody holds t any more; held: holder did.
func (w *watched) release(t Topic, holder string) (last, held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	holds := w.topics[t]
	mine := find(holds, holder)
	if mine < 0 {
		return false, false
	}
	return w.keep(t, slices.Delete(holds, mine, mine+1)), true
}

// keep notes who still holds t; last: nobody.
func (w *watched) keep(t Topic, holds []hold) (last bool) {
	if len(holds) == 0 {
		delete(w.topics, t)
		return true
	}
	w.topics[t] = holds
	return false
}

// expired takes back the holds that were not renewed, and gives what nobody holds any more.
func (w *watched) expired(now time.Time) (last []Topic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, holds := range w.topics {
		if w.keep(t, slices.DeleteFunc(holds, func(h hold) bool { return h.until < now.Unix() })) {
			last = append(last, t)
		}
	}
	return last
}

func (s *server) observe(ctx context.Context, k *task) *Response {
	if why := s.watched.hold(k.Topic, k.client); why != "" {
		return Fail(Unavailable, Error{Code: "gateway.observations", Message: "observe " + k.Topic.String(), Why: why, Hint: "cancel observations that are not needed"})
	}
	r := s.things.Do(ctx, &k.Request)
	if r == nil || !r.Code.OK() {
		s.watched.release(k.Topic, k.client)
	}
	return r
}

func (s *server) cancel(ctx context.Context, k *task) *Response {
	last, held := s.watched.release(k.Topic, k.client)
	switch {
	case !held:
		return Fail(NotFound, Error{Code: "observation.unknown", Message: "cancel the observation of " + k.Topic.String(), Why: "this client holds none", Hint: "whoever sent OBSERVE cancels it, with the same client identifier and response topic"})
	case !last:
		return &Response{Code: Changed}
	}
	return s.things.Do(ctx, &k.Request)
}

// checkReply judges a response topic: an answer goes there with the gateway's rights, so it may be no place that only gateways publish to, and
// no request to a thing.
func (s *server) checkReply(topic string) error {
	first, _, _ := strings.Cut(topic, "/")
	switch {
	case len(topic) > maxTopic:
		return fmt.Errorf("response topic of %d bytes", len(topic))
	case strings.ContainsAny(topic, "+#\x00"):
		return fmt.Errorf("response topic %.100q has a wildcard", topic)
	case first == "" || first[0] == '$' || reserved[first] && first != topicReply:
		return fmt.Errorf("response topic %.100q is reserved", topic)
	}
	if t, err := ParseTopic(topic); err == nil && s.things.Known(t.Thing) {
		return fmt.Errorf("response topic %.100q is a request to a device", topic)
	}
	return nil
}
