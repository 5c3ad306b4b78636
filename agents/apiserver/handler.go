package apiserver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

const maxBodyBytes = 256 << 10

// request is what the server knows about the request that it is serving.
type request struct {
	actor api.Actor
	// reached says that a backend saw the request, which then answers for the audit.
	reached bool
	// refusal is the problem that huma answered with.
	refusal *problem
}

func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey).(*request); ok {
		return r
	}
	return &request{}
}

// handler wraps the router: identify, authorize, bound, read the body, route.
func (s *Server) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state := &request{}
		r = r.WithContext(context.WithValue(r.Context(), requestKey, state))
		answer := &answer{ResponseWriter: w}
		defer s.recoverPanic(answer, r)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if p := s.admit(state, r); p != nil {
			s.refuse(answer, r, p)
			return
		}
		s.serve(answer, r)
		if state.refusal != nil && !state.reached {
			s.recordRefusal(r, state.refusal)
		}
	})
}

func (s *Server) admit(state *request, r *http.Request) *problem {
	actor, p := s.identify(r)
	state.actor = actor
	if p != nil {
		return p
	}
	return authorize(actor, r)
}

// serve routes an admitted request, within its bounds unless it is a stream.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	_, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.notRouted(w, r)
		return
	}
	if isStream(r) || r.URL.Path == healthPath {
		s.mux.ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.RequestTimeout)
	defer cancel()
	if r.ContentLength != 0 {
		if !take(ctx, s.bodies) {
			s.refuse(w, r, busy(r))
			return
		}
		defer func() { <-s.bodies }()
	}
	if !take(ctx, s.inFlight) {
		s.refuse(w, r, busy(r))
		return
	}
	defer func() { <-s.inFlight }()
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.config.RequestTimeout + answerTimeout))
	r = r.WithContext(ctx)
	if p := s.readBody(w, r, pattern); p != nil {
		s.refuse(w, r, p)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// answerTimeout is what is left for an answer when the work on it has taken all of its time.
const answerTimeout = 10 * time.Second

// slotPatience is how long a request waits for its turn.
const slotPatience = time.Second

// take takes a slot, and waits a moment for one.
func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-time.After(slotPatience):
	case <-ctx.Done():
	}
	return false
}

func busy(r *http.Request) *problem {
	return newProblem(http.StatusServiceUnavailable, "api.busy", r.Method+" "+r.URL.Path,
		"too many requests are at work", "try again in a moment")
}

func isStream(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == eventsPath || isTrue(r.URL.Query().Get("watch")))
}

// readBody reads the whole body within its bounds of size and time, and gives the connection its deadline back: see "Why is
// the body read before routing?" in RATIONALE.md.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, pattern string) *problem {
	limit := orDefault(s.limits[pattern], maxBodyBytes)
	attempted := r.Method + " " + r.URL.Path
	if r.ContentLength > limit {
		return tooLarge(attempted, limit)
	}
	if r.ContentLength == 0 {
		return nil
	}
	controller := http.NewResponseController(w)
	controller.SetReadDeadline(time.Now().Add(s.config.BodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		w.Header().Set("Connection", "close") // else net/http waits for the rest of the body
	}
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge(attempted, limit)
	case err != nil:
		return newProblem(http.StatusRequestTimeout, "api.slow-body", attempted,
			"the body did not arrive within "+s.config.BodyTimeout.String(), "send it faster, or check the network")
	}
	controller.SetReadDeadline(time.Time{})
	if len(body) > 0 && s.bodiless[pattern] {
		return newProblem(http.StatusBadRequest, "api.unexpected-body", attempted,
			"it takes no body, so nothing of the one that was sent would count", "leave it out; the interface is described at /openapi.json")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func tooLarge(attempted string, limit int64) *problem {
	p := newProblem(http.StatusRequestEntityTooLarge, "api.too-large", attempted,
		"the body is larger than "+api.FormatBytes(limit), "send less; a module may have up to "+api.FormatBytes(MaxModuleBytes))
	return p
}

// notRouted answers what the router does not know: 404, or 405 with the methods that it does know.
func (s *Server) notRouted(w http.ResponseWriter, r *http.Request) {
	probe := &answer{ResponseWriter: discard{header: http.Header{}}}
	s.mux.ServeHTTP(probe, r)
	attempted := r.Method + " " + r.URL.Path
	if allowed := probe.Header().Get("Allow"); probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allowed)
		s.refuse(w, r, newProblem(http.StatusMethodNotAllowed, "api.method-not-allowed", attempted,
			"this address knows only "+allowed, "the interface is described at /openapi.json"))
		return
	}
	s.refuse(w, r, newProblem(http.StatusNotFound, "api.not-found", attempted,
		"there is nothing at this address", "the interface is described at /openapi.json"))
}

// refuse answers with a problem and puts a refused change into the audit.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, p *problem) {
	p.write(w)
	s.recordRefusal(r, p)
}

// recordRefusal keeps changes and log-ins that no backend saw.
func (s *Server) recordRefusal(r *http.Request, p *problem) {
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if reading && p.Status != http.StatusUnauthorized || !s.audits.Allow() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 5*time.Second)
	defer cancel()
	action, target := r.Method, r.URL.Path
	if _, pattern := s.mux.Handler(r); pattern != "" {
		action = pattern
	}
	if err := s.config.Backend.Audit.RecordRefusal(ctx, requestOf(r.Context()).actor, action, clip(target), &p.Problem); err != nil {
		s.log.Error("refusal is not in the audit", "action", action, "error", err)
	}
}

// clip bounds what a stranger can write into the audit.
func clip(text string) string {
	const most = 256
	return strings.ToValidUTF8(text[:min(len(text), most)], "?")
}

func (s *Server) recoverPanic(w *answer, r *http.Request) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(cause)
	}
	s.log.Error("request panicked", "method", r.Method, "path", r.URL.Path, slog.Any("cause", cause), "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	newProblem(http.StatusInternalServerError, "api.internal", r.Method+" "+r.URL.Path,
		"the daemon met a fault of its own", "look into the daemon's log, and report this as a fault of Edgehold").write(w)
}

// answer remembers the status.
type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(status int) {
	a.status = orDefault(a.status, status)
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	a.status = orDefault(a.status, http.StatusOK)
	return a.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// discard takes an answer that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
