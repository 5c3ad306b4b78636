package mqtt

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// watched are the observations that clients hold. Several may hold one; the last to let go ends it, and who does not renew lets go.
type watched struct {
	config ServeConfig
	mu     sync.Mutex
	topics map[Topic]map[string]time.Time // until when, by holder
}

func (w *watched) init(config ServeConfig) {
	w.config, w.topics = config, map[Topic]map[string]time.Time{}
	until := config.Now().Add(config.Lease)
	for _, t := range config.Observed {
		w.topics[t] = map[string]time.Time{"": until}
	}
}

// hold notes that holder has t observed; why says when there is no room.
func (w *watched) hold(t Topic, holder string) (why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	holders := w.topics[t]
	_, mine := holders[holder]
	switch {
	case holders == nil && len(w.topics) >= w.config.MaxObserved:
		return fmt.Sprintf("%d properties are observed", len(w.topics))
	case !mine && len(holders) >= w.config.MaxWatchers:
		return fmt.Sprintf("%d clients observe it", len(holders))
	}
	if holders == nil {
		holders = map[string]time.Time{}
		w.topics[t] = holders
	}
	holders[holder] = w.config.Now().Add(w.config.Lease)
	return ""
}

// release takes a hold back. last: nobody holds t any more; held: holder did.
func (w *watched) release(t Topic, holder string) (last, held bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	holders := w.topics[t]
	_, held = holders[holder]
	delete(holders, holder)
	if held && len(holders) == 0 {
		delete(w.topics, t)
		return true, true
	}
	return false, held
}

// expired takes back the holds that were not renewed, and gives what nobody holds any more.
func (w *watched) expired(now time.Time) (last []Topic) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, holders := range w.topics {
		for holder, until := range holders {
			if now.After(until) {
				delete(holders, holder)
			}
		}
		if len(holders) == 0 {
			delete(w.topics, t)
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
		return Fail(NotFound, Error{Code: "observation.unknown", Message: "cancel the observation of " + k.Topic.String(), Why: "this client holds none", Hint: "whoever sent OBSERVE cancels it, with the same response topic"})
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
