package server

import (
	"context"
	"errors"
	"slices"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// composite does a composite operation, as several single ones if the device does not know it.
func (s *Server) composite(ctx context.Context, d *device, r *Request) (Answer, error) {
	if s.knowsComposite(d) {
		short, stop := context.WithTimeout(ctx, s.config.Times.Composite)
		answer, err := s.ask(short, d, r, coap.Token{})
		stop()
		if err == nil || ctx.Err() != nil || !s.lacksComposite(d, err) {
			return answer, err
		}
	}
	if r.Operation == OpWriteComposite {
		return s.writeEach(ctx, d, r)
	}
	return s.readEach(ctx, d, r)
}

func (s *Server) knowsComposite(d *device) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused&noComposite == 0 && d.version.Compare(lwm2m.V1_1) >= 0
}

// lacksComposite reports whether an error means that the device does not know composite operations, and remembers it. Some
// acknowledge the request and never answer.
func (s *Server) lacksComposite(d *device, err error) bool {
	unknown := errors.Is(err, context.DeadlineExceeded)
	switch CodeOf(err) {
	case coap.MethodNotAllowed, coap.NotImplemented, coap.BadOption, coap.NotAcceptable, coap.UnsupportedFormat:
		unknown = true
	}
	if !unknown {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused |= noComposite
	s.saveFormats(d)
	return true
}

// readEach reads one path after the other and leaves out what the device does not have, as a composite read does.
func (s *Server) readEach(ctx context.Context, d *device, r *Request) (Answer, error) {
	all := Answer{Code: coap.Content}
	for _, p := range r.Paths {
		answer, err := s.ask(ctx, d, &Request{Operation: OpRead, Path: p}, coap.Token{})
		switch {
		case err != nil && CodeOf(err) == coap.NotFound:
		case err != nil:
			return all, err
		default:
			all.Tree = append(all.Tree, answer.Tree...)
		}
	}
	all.Tree.Sort()
	return all, nil
}

// writeEach updates one instance after the other.
func (s *Server) writeEach(ctx context.Context, d *device, r *Request) (Answer, error) {
	last := Answer{Code: coap.Changed}
	for rest := r.Tree; len(rest) > 0; {
		instance := rest[0].Path.Truncate(2)
		part := rest.Below(instance)
		if len(part) == 0 {
			part = rest[:1]
		}
		rest = rest[len(part):]
		answer, err := s.ask(ctx, d, &Request{Operation: OpWrite, Path: instance, Tree: part}, coap.Token{})
		if err != nil {
			return answer, err
		}
		last = answer
	}
	return last, nil
}

// observeEach observes one path after the other; either all are observed or none that was not before.
func (s *Server) observeEach(ctx context.Context, d *device, r *Request) (Answer, error) {
	all := Answer{Code: coap.Content}
	d.mu.Lock()
	before := d.observations // which is replaced, never changed
	d.mu.Unlock()
	for _, p := range r.Paths {
		answer, err := s.observe(ctx, d, &Request{Operation: OpObserve, Path: p})
		if err != nil {
			d.mu.Lock()
			for _, id := range all.Observations {
				if !slices.ContainsFunc(before, func(o *observation) bool { return o.id() == id }) {
					s.dropObservation(d, id)
				}
			}
			d.mu.Unlock()
			return Answer{}, err
		}
		all.Observations = append(all.Observations, answer.Observations...)
		all.Tree = append(all.Tree, answer.Tree...)
	}
	all.Tree.Sort()
	all.Observations = slices.Compact(all.Observations)
	return all, nil
}
