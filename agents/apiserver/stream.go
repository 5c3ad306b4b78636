package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

const (
	streamContentType  = "text/event-stream"
	streamWriteTimeout = 10 * time.Second
	keepAliveInterval  = 15 * time.Second
	// revocationInterval is how long a silent stream may outlive the revocation of its token.
	revocationInterval = 2 * time.Second
)

// stream writes server-sent events (WHATWG HTML, section 9.2). A reader that takes longer than streamWriteTimeout for one
// write loses its connection.
type stream struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	// admitted reports whether its reader is still let in.
	admitted func() bool
}

func openStream(w http.ResponseWriter, admitted func() bool) (*stream, error) {
	s := &stream{w: w, controller: http.NewResponseController(w), admitted: admitted}
	if err := s.controller.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", streamContentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return s, s.write(": edgehold\n\n")
}

// send writes one event; seq 0 leaves out the id.
func (s *stream) send(seq uint64, name string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	id := ""
	if seq > 0 {
		id = "id: " + strconv.FormatUint(seq, 10) + "\n"
	}
	return s.write(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, name, text))
}

func (s *stream) write(text string) error {
	if err := s.controller.SetWriteDeadline(time.Now().Add(streamWriteTimeout)); err != nil {
		return err
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.controller.Flush()
}

// follow passes on events until the request ends, the reader is dropped, or deliver fails.
func (s *stream) follow(r *http.Request, reader *subscription, deliver func([]api.Event) error) error {
	if err := deliver(reader.backlog); err != nil {
		return err
	}
	alive := time.NewTicker(keepAliveInterval)
	defer alive.Stop()
	review := time.NewTicker(revocationInterval)
	defer review.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case <-review.C:
			if !s.admitted() {
				return s.dismiss()
			}
		case <-alive.C:
			err = s.write(": still here\n\n")
		case event, open := <-reader.events:
			if !open {
				return s.send(reader.last.Seq, "event", reader.last)
			}
			if !s.admitted() {
				return s.dismiss()
			}
			err = deliver(append([]api.Event{event}, drain(reader)...))
		}
		if err != nil {
			return err
		}
	}
}

// dismiss tells a reader whose token was revoked that nothing more comes.
func (s *stream) dismiss() error {
	return s.send(0, "event", api.Event{At: time.Now().UTC(), Resource: api.ResourceDaemon, Kind: api.EventRevoked, Message: "the token was revoked"})
}

// drain takes what else is waiting, so that a burst is handled at once.
func drain(reader *subscription) (more []api.Event) {
	for range subscriberBacklog {
		select {
		case event, open := <-reader.events:
			if !open {
				return more
			}
			more = append(more, event)
		default:
			return more
		}
	}
	return more
}

// serveEvents is GET /v1/events.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseUint(r.Header.Get("Last-Event-ID"), 10, 64)
	s.serveStream(w, r, after, func(out *stream, reader *subscription) error {
		return out.follow(r, reader, func(events []api.Event) error {
			for _, event := range events {
				if err := out.send(event.Seq, "event", event); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// serveStream subscribes before anything is read, so that no change falls between a list and the events after it.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request, after uint64, serve func(*stream, *subscription) error) {
	reader, cancel, err := s.config.Events.subscribe(after)
	if err != nil {
		s.refuse(w, r, newProblem(http.StatusServiceUnavailable, "api.too-many-streams", "open a stream",
			"all streams that this daemon allows are open", "close another one and try again"))
		return
	}
	defer cancel()
	out, err := openStream(w, func() bool { return s.stillKnown(r) })
	if err == nil {
		err = serve(out, reader)
	}
	if err != nil && r.Context().Err() == nil {
		s.log.Debug("stream ended", "path", r.URL.Path, "error", err)
	}
}
