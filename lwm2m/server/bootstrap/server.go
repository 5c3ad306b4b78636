package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

const maxEndpoint = 128 // bytes of a name

// Server is a bootstrap server.
type Server struct {
	config   Config
	endpoint *coap.Endpoint
	rate     *rate.Limiter

	mu       sync.Mutex
	ctx      context.Context // nil: it does not run
	sessions map[string]*session
	running  sync.WaitGroup
}

// session is one bootstrap that is going on.
type session struct {
	claim Claim
	stop  context.CancelFunc
}

// New makes a server, which works when Run runs.
func New(c Config) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Server{config: c, sessions: make(map[string]*session), rate: rate.NewLimiter(rate.Limit(c.Rate), int(2*c.Rate)+1)}
	cc := c.CoAP
	cc.Transports, cc.Handler, cc.Logger = c.Transports, s, c.Logger
	endpoint, err := coap.New(cc)
	s.endpoint = endpoint
	return s, err
}

// Run works until the context ends or a transport fails, and returns when nothing of it runs any more. It is called once.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.ctx = nil
		s.mu.Unlock()
		stop()
		s.running.Wait()
	}()
	return s.endpoint.Run(ctx)
}

// Serve answers a device's request. It is for the CoAP endpoint to call.
func (s *Server) Serve(ctx context.Context, p coap.Peer, request, response *coap.Message) {
	var answer func(context.Context, Claim, *coap.Message, *coap.Message) error
	switch path := request.Path(); {
	case path == "/bs" && request.Code == coap.POST:
		answer = s.onRequest
	case path == "/bspack" && request.Code == coap.GET:
		answer = s.onPack
	case path == "/bs" || path == "/bspack":
		response.Code = coap.MethodNotAllowed
		return
	default:
		return // 4.04
	}
	claim, err := claimOf(p, request)
	if err == nil && !s.rate.Allow() {
		err = errBusy
	}
	if err == nil {
		err = answer(ctx, claim, request, response)
	}
	if err != nil {
		s.refuse(response, claim, err)
	}
}

var (
	errBusy    = errors.New("too many devices ask at once")
	errName    = errors.New("the endpoint name is missing, too long, or has characters that cannot be printed")
	errKeys    = errors.New("keys are given away over a secured connection only")
	errFormat  = errors.New("none of the formats that the device accepts is known")
	errRefused = errors.New("the device refuses what it was given")
)

func (s *Server) refuse(response *coap.Message, c Claim, err error) {
	switch {
	case errors.Is(err, errBusy):
		response.Code = coap.ServiceUnavailable
		response.SetUint(coap.MaxAge, 10+rand.Uint32N(50)) // not all at once again
	case errors.Is(err, errName):
		response.Code = coap.BadRequest
	case errors.Is(err, errFormat):
		response.Code = coap.NotAcceptable
	default:
		response.Code = coap.Forbidden
	}
	s.config.Logger.Info("a bootstrap was refused", "endpoint", c.Endpoint, "peer", c.Peer.String(), "error", err)
}

func claimOf(p coap.Peer, request *coap.Message) (Claim, error) {
	name, ok := request.Query("ep")
	if !ok || name == "" {
		name = p.Identity
	}
	valid := name != "" && len(name) <= maxEndpoint && utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
	if !valid {
		return Claim{Peer: p}, errName
	}
	return Claim{Endpoint: name, Peer: p}, nil
}

// provision asks what a device gets.
func (s *Server) provision(ctx context.Context, c Claim) (Provision, error) {
	provision, err := s.config.Provision(ctx, c)
	if err == nil {
		err = s.mayGive(c, provision.Tree)
	}
	return provision, err
}

func (s *Server) mayGive(c Claim, t lwm2m.Tree) error {
	if c.Peer.Identity == "" && !s.config.InsecureKeys && hasKeys(t) {
		return errKeys
	}
	return nil
}

// onRequest answers a Bootstrap-Request (Core §6.1.7.1) and begins the bootstrap.
func (s *Server) onRequest(ctx context.Context, c Claim, request, response *coap.Message) error {
	provision, err := s.provision(ctx, c)
	if err != nil {
		return err
	}
	preferred := lwm2m.NoFormat
	if pct, ok := request.Query("pct"); ok {
		if n, err := strconv.ParseUint(pct, 10, 16); err == nil {
			preferred = lwm2m.Format(n)
		}
	}
	if !s.begin(c, provision, preferred) {
		return errBusy
	}
	response.Code = coap.Changed
	return nil
}

// onPack answers a Bootstrap-Pack-Request (Core 1.2 §6.1.7.9): everything at once.
func (s *Server) onPack(ctx context.Context, c Claim, request, response *coap.Message) error {
	format := lwm2m.FormatSenMLCBOR
	if accept, ok := request.Uint(coap.Accept); ok {
		format = lwm2m.Format(accept)
	}
	switch format {
	case lwm2m.FormatSenMLCBOR, lwm2m.FormatSenMLJSON, lwm2m.FormatCBORTree:
	default:
		return errFormat
	}
	provision, err := s.provision(ctx, c)
	if err != nil {
		return err
	}
	if response.Payload, err = codec.Append(response.Payload[:0], format, lwm2m.Path{}, provision.Tree); err != nil {
		return err
	}
	response.Code = coap.Content
	response.SetUint(coap.ContentFormat, uint32(format))
	return nil
}

// begin starts a session, in place of one that the same peer has. It returns false if there is no room, or if another peer is
// being bootstrapped under the name.
func (s *Server) begin(c Claim, p Provision, preferred lwm2m.Format) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.sessions[c.Endpoint]
	switch {
	case s.ctx == nil, old == nil && len(s.sessions) >= s.config.Sessions, old != nil && old.claim.Peer != c.Peer:
		return false
	case old != nil:
		old.stop()
	}
	ctx, stop := context.WithTimeout(s.ctx, s.config.Session)
	now := &session{claim: c, stop: stop}
	s.sessions[c.Endpoint] = now
	s.running.Go(func() {
		defer stop()
		err := s.run(ctx, c, p, preferred)
		s.mu.Lock()
		current := s.sessions[c.Endpoint] == now
		if current {
			delete(s.sessions, c.Endpoint)
		}
		s.mu.Unlock()
		if current {
			s.ended(c, err)
		}
	})
	return true
}

func (s *Server) ended(c Claim, err error) {
	if err != nil {
		s.config.Logger.Warn("a bootstrap has failed", "endpoint", c.Endpoint, "peer", c.Peer.String(), "error", err)
	} else {
		s.config.Logger.Info("a device is bootstrapped", "endpoint", c.Endpoint, "peer", c.Peer.String())
	}
	if s.config.Done != nil {
		s.config.Done(c, err)
	}
}

// run gives a device what it gets.
func (s *Server) run(ctx context.Context, c Claim, p Provision, preferred lwm2m.Format) (err error) {
	if p.Discovered != nil {
		if p, err = s.discover(ctx, c, p); err != nil {
			return err
		}
	}
	if p.Delete == nil {
		p.Delete = []lwm2m.Path{{}}
	}
	for _, path := range p.Delete {
		if err := s.expect(ctx, c, &coap.Message{Code: coap.DELETE}, path, coap.Deleted); err != nil {
			return err
		}
	}
	w := writer{server: s, claim: c, formats: formats(preferred)}
	for object, below := range p.Tree.Children(lwm2m.Path{}) {
		for instance, content := range below.Children(object) {
			if err := w.write(ctx, instance, content); err != nil {
				return err
			}
		}
	}
	finish := &coap.Message{Code: coap.POST}
	finish.SetPath("/bs")
	answer, err := s.endpoint.Do(ctx, c.Peer, finish)
	if err != nil {
		return fmt.Errorf("finish the bootstrap of %q: %w", c.Endpoint, err)
	}
	if answer.Code != coap.Changed {
		return fmt.Errorf("finish the bootstrap of %q: %w: %s", c.Endpoint, errRefused, answer.Code)
	}
	return nil
}

// discover asks what the device has, and then what it gets.
func (s *Server) discover(ctx context.Context, c Claim, p Provision) (Provision, error) {
	ask := &coap.Message{Code: coap.GET}
	ask.SetUint(coap.Accept, uint32(lwm2m.FormatLinks))
	answer, err := s.endpoint.Do(ctx, c.Peer, ask)
	if err != nil {
		return p, fmt.Errorf("discover what %q has: %w", c.Endpoint, err)
	}
	if answer.Code != coap.Content {
		return p, fmt.Errorf("discover what %q has: %w: %s", c.Endpoint, errRefused, answer.Code)
	}
	links, err := lwm2m.ParseLinks(answer.Payload)
	if err != nil {
		return p, fmt.Errorf("discover what %q has: %w", c.Endpoint, err)
	}
	if p, err = p.Discovered(links); err == nil {
		err = s.mayGive(c, p.Tree)
	}
	return p, err
}

func (s *Server) expect(ctx context.Context, c Claim, m *coap.Message, path lwm2m.Path, want coap.Code) error {
	m.SetPath(path.String())
	answer, err := s.endpoint.Do(ctx, c.Peer, m)
	if err != nil {
		return fmt.Errorf("bootstrap %q: %s %s: %w", c.Endpoint, m.Code, path, err)
	}
	if answer.Code != want {
		return fmt.Errorf("bootstrap %q: %s %s: %w: %s", c.Endpoint, m.Code, path, errRefused, answer.Code)
	}
	return nil
}

// writer writes instances in the first format that the device takes.
type writer struct {
	server  *Server
	claim   Claim
	formats []lwm2m.Format
}

// formats are what is tried: what the device prefers, or else TLV, which every version has, and then the others.
func formats(preferred lwm2m.Format) []lwm2m.Format {
	all := []lwm2m.Format{lwm2m.FormatTLV, lwm2m.FormatSenMLCBOR, lwm2m.FormatSenMLJSON}
	if preferred == lwm2m.FormatCBORTree || preferred == lwm2m.FormatSenMLCBOR || preferred == lwm2m.FormatSenMLJSON {
		all = append([]lwm2m.Format{preferred}, all...)
	}
	return all
}

func (w *writer) write(ctx context.Context, instance lwm2m.Path, content lwm2m.Tree) error {
	for {
		payload, err := codec.Append(nil, w.formats[0], instance, content)
		if err != nil {
			return err
		}
		m := &coap.Message{Code: coap.PUT, Payload: payload}
		m.SetPath(instance.String())
		m.SetUint(coap.ContentFormat, uint32(w.formats[0]))
		answer, err := w.server.endpoint.Do(ctx, w.claim.Peer, m)
		switch {
		case err != nil:
			return fmt.Errorf("bootstrap %q: write %s: %w", w.claim.Endpoint, instance, err)
		case answer.Code == coap.Changed, answer.Code == coap.Created:
			return nil
		case (answer.Code == coap.UnsupportedFormat || answer.Code == coap.NotAcceptable) && len(w.formats) > 1:
			w.formats = w.formats[1:]
		default:
			return fmt.Errorf("bootstrap %q: write %s: %w: %s", w.claim.Endpoint, instance, errRefused, answer.Code)
		}
	}
}
