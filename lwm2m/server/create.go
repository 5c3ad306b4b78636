package server

import (
	"context"
	"slices"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
)

// create makes an instance. TLV alone can leave its number to the device; where the device refuses that format, it is told one
// that is free.
func (s *Server) create(ctx context.Context, d *device, r *Request) (Answer, error) {
	if r.unnumbered() && s.refusesTLV(d) {
		return s.createNumbered(ctx, d, r)
	}
	answer, err := s.ask(ctx, d, r, coap.Token{})
	if err != nil && r.unnumbered() && s.refusesTLV(d) {
		return s.createNumbered(ctx, d, r)
	}
	return answer, err
}

func (s *Server) refusesTLV(d *device) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.refused&withTLV != 0
}

func (s *Server) createNumbered(ctx context.Context, d *device, r *Request) (Answer, error) {
	has, err := s.ask(ctx, d, &Request{Operation: OpDiscover, Path: r.Path.Truncate(1)}, coap.Token{})
	if err != nil {
		return Answer{}, err
	}
	d.mu.Lock()
	root := d.links.root
	d.mu.Unlock()
	var taken []uint16
	for _, l := range has.Links {
		if p, ok := l.Path(root); ok && p.Depth() > 1 {
			taken = append(taken, p.Instance())
		}
	}
	free := uint16(0)
	for slices.Contains(taken, free) {
		free++
	}
	numbered := *r
	numbered.Tree = nil
	for _, record := range r.Tree {
		record.Path = renumbered(record.Path, free)
		numbered.Tree = append(numbered.Tree, record)
	}
	return s.ask(ctx, d, &numbered, coap.Token{})
}

// renumbered is a path with another instance.
func renumbered(p lwm2m.Path, instance uint16) lwm2m.Path {
	q := lwm2m.PathOf(p.Object(), instance)
	for level := 2; level < p.Depth(); level++ {
		q = q.Child(p.ID(level))
	}
	return q
}
