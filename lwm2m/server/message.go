package server

import (
	"fmt"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/lwm2m/codec"
)

// target is what of a device is needed to speak to it, taken while it was locked.
type target struct {
	endpoint string
	id       uint64 // of the registration
	peer     coap.Peer
	version  lwm2m.Version
	links    *linkSet // good even when the device gets another
	refused  formatSet
	messages uint32
}

func (d *device) target() target {
	return target{endpoint: d.endpoint, id: d.id, peer: d.peer, version: d.version, links: d.links, refused: d.refused, messages: d.messages}
}

// usable are the formats that can carry a request or its answer.
func (r *Request) usable() formatSet {
	const trees = withCBORTree | withSenMLCBOR | withSenMLJSON | withTLV
	switch r.Operation {
	case OpRead, OpObserve:
		if r.Path.Depth() >= 3 {
			return trees | withJSON | withText
		}
		return trees | withJSON
	case OpReplace, OpWrite:
		if len(r.Tree) == 1 && r.Tree[0].Path == r.Path && r.Tree[0].Value.Kind() != lwm2m.KindOpaque {
			return trees | withText
		}
		return trees
	case OpReadComposite, OpObserveComposite:
		return withSenMLCBOR | withSenMLJSON // and of LwM2M CBOR nothing is gained
	case OpWriteComposite:
		return withSenMLCBOR | withSenMLJSON
	default:
		return trees
	}
}

// format chooses the format of a request; ok is false when the device refuses all of them.
func (r *Request) format(t *target) (lwm2m.Format, bool) {
	if r.singleOpaque(t) && t.refused&withOpaque == 0 {
		return lwm2m.FormatOpaque, true // a package of a megabyte travels as it is
	}
	if r.Operation == OpCreate && (len(r.Tree) == 0 || r.unnumbered()) {
		// SenML has no record for an instance with nothing in it, and none for one without a number: what stands for them there is
		// read by few.
		if f, ok := choose(t.version, 0, t.refused, withTLV); ok || r.unnumbered() {
			return f, ok
		}
	}
	version := t.version
	if r.Operation == OpReadComposite || r.Operation == OpObserveComposite || r.Operation == OpWriteComposite {
		version = lwm2m.V1_1 // only formats of SenML, whatever the version
	}
	return choose(version, t.links.formats, t.refused, r.usable())
}

func (r *Request) singleOpaque(t *target) bool {
	return (r.Operation == OpReplace || r.Operation == OpWrite) && r.replacesOne(t) && r.Tree[0].Value.Kind() == lwm2m.KindOpaque
}

// message makes the CoAP request of an operation (Transport 1.2 §6.4, table 6.4.3-1).
func (r *Request) message(t *target, f lwm2m.Format) (*coap.Message, error) {
	m := new(coap.Message)
	m.SetPath(t.links.root + r.Path.String())
	switch r.Operation {
	case OpRead:
		m.Code = coap.GET
		m.SetUint(coap.Accept, uint32(f))
	case OpObserve:
		m.Code = coap.GET
		m.SetUint(coap.Observe, 0)
		m.SetUint(coap.Accept, uint32(f))
	case OpDiscover:
		m.Code = coap.GET
		m.SetUint(coap.Accept, uint32(lwm2m.FormatLinks))
		if r.Depth > 0 && t.version.Compare(lwm2m.V1_2) >= 0 {
			m.AddQuery(fmt.Sprintf("depth=%d", r.Depth))
		}
	case OpReplace:
		m.Code = coap.PUT
		return m, r.body(m, f)
	case OpWrite:
		if r.replacesOne(t) {
			m.Code = coap.PUT
			return m, r.body(m, f)
		}
		m.Code = coap.POST // an instance takes partial updates, and nothing below it in every version
		m.SetPath(t.links.root + r.Path.Truncate(2).String())
		return m, r.body(m, f)
	case OpWriteAttributes:
		m.Code = coap.PUT
		for _, q := range r.Attributes.Queries(nil) {
			m.AddQuery(q)
		}
	case OpExecute:
		m.Code = coap.POST
		if r.Arguments != "" {
			m.SetUint(coap.ContentFormat, uint32(lwm2m.FormatText))
			m.Payload = []byte(r.Arguments)
		}
	case OpCreate:
		m.Code = coap.POST
		m.SetPath(t.links.root + r.Path.Truncate(1).String())
		return m, r.body(m, f)
	case OpDelete:
		m.Code = coap.DELETE
	case OpReadComposite, OpObserveComposite:
		return m, r.paths(m, t, f)
	case OpWriteComposite:
		m.Code = coap.IPATCH
		m.SetPath(t.links.root)
		return m, r.body(m, f)
	}
	return m, nil
}

// replacesOne reports whether a partial update is of one value, in which nothing is partial. Instances of resources have no
// path of their own in 1.0.
func (r *Request) replacesOne(t *target) bool {
	deepest := 4
	if t.version.Compare(lwm2m.V1_1) < 0 {
		deepest = 3
	}
	return r.Path.Depth() > 2 && r.Path.Depth() <= deepest && len(r.Tree) == 1 && r.Tree[0].Path == r.Path
}

// body puts the tree in.
func (r *Request) body(m *coap.Message, f lwm2m.Format) (err error) {
	base, tree := r.Path, r.Tree
	switch r.Operation {
	case OpWrite:
		if m.Code == coap.POST {
			base = r.Path.Truncate(2)
		}
	case OpCreate:
		base = r.Path.Truncate(1)
		if r.unnumbered() {
			base = tree[0].Path.Truncate(2) // the resources alone
		}
		if len(tree) == 0 && r.Path.Depth() == 2 {
			tree = lwm2m.Tree{{Path: r.Path}} // an instance with nothing in it
		}
	case OpWriteComposite:
		base = lwm2m.Path{}
	}
	m.SetUint(coap.ContentFormat, uint32(f))
	m.Payload, err = codec.Append(nil, f, base, tree)
	return err
}

// unnumbered reports whether the device is to choose the number of the instance that it creates.
func (r *Request) unnumbered() bool {
	return r.Operation == OpCreate && len(r.Tree) > 0 && r.Tree[0].Path.Depth() > 1 && r.Tree[0].Path.Instance() == lwm2m.NoID
}

func (r *Request) paths(m *coap.Message, t *target, f lwm2m.Format) (err error) {
	m.Code = coap.FETCH
	m.SetPath(t.links.root)
	if r.Operation == OpObserveComposite {
		m.SetUint(coap.Observe, 0)
	}
	m.SetUint(coap.ContentFormat, uint32(f))
	m.SetUint(coap.Accept, uint32(f))
	m.Payload, err = codec.AppendPaths(nil, f, r.Paths)
	return err
}

// decode reads what a message of the device says of a path.
func (s *Server) decode(t *target, base lwm2m.Path, m *coap.Message) (lwm2m.Tree, error) {
	f := lwm2m.NoFormat
	if n, ok := m.Uint(coap.ContentFormat); ok && n < uint32(lwm2m.NoFormat) {
		f = lwm2m.Format(n)
	}
	if f == lwm2m.NoFormat { // a client of 1.0 may leave out what it takes for granted
		f = lwm2m.FormatTLV
		if base.Depth() >= 3 {
			f = lwm2m.FormatText
		}
	}
	return codec.Decode(f, base, m.Payload, s.config.Models.View(t.links.version))
}
