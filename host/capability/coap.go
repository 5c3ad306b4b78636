package capability

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/edgehold/edgehold/wasmabi"
)

// CoAP makes confirmable requests. A node gives it, for this package speaks no CoAP itself.
type CoAP interface {
	// Request asks the device at an address, and returns an answer whose payload has at most most bytes, or ErrTooLong. The
	// request's URI was judged: it has a host and a port.
	Request(ctx context.Context, to netip.AddrPort, r *wasmabi.CoAPRequest, most uint64) (wasmabi.CoAPResponse, error)
}

// ErrTooLong is returned by a CoAP whose answer is longer than it may be.
var ErrTooLong = errors.New("the answer is too long")

// coapPort makes requests to the hosts that were granted.
type coapPort struct {
	reach
	most   uint64
	client CoAP
}

func newCoAP(r *wasmabi.CapabilityRequest, c Config) *coapPort {
	return &coapPort{newReach(r, c), bytesOf(r), c.CoAP}
}

func (p *coapPort) call(ctx context.Context, op uint32, in, dst []byte) ([]byte, error) {
	var m wasmabi.CoAPRequest
	if op != wasmabi.HandleCoAP {
		return dst, unknownOp("coap", op)
	}
	if err := wasmabi.DecodeCoAPRequest(in, &m); err != nil {
		return dst, invalid("use coap", err)
	}
	answer, err := p.request(ctx, &m)
	if err != nil {
		return dst, err
	}
	return wasmabi.AppendCoAPResponse(dst, &answer), nil
}

func (p *coapPort) request(ctx context.Context, m *wasmabi.CoAPRequest) (wasmabi.CoAPResponse, error) {
	var none wasmabi.CoAPResponse
	what := m.Method + " " + m.URI
	target, err := coapTarget(m)
	if err != nil {
		return none, err
	}
	if err := p.permits(m.Method, target); err != nil {
		return none, err
	}
	if uint64(len(m.Payload)) > p.most {
		return none, limited(what, "a payload may have %d bytes", p.most)
	}
	if p.client == nil {
		return none, denied(what, "this node has no CoAP client")
	}
	all, err := p.addresses(ctx, target)
	if err != nil {
		return none, err
	}
	var problems []error
	for _, at := range all {
		answer, err := p.client.Request(ctx, at, m, p.most)
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, ErrTooLong):
			return none, limited(what, "the answer has more than %d bytes", p.most)
		}
		problems = append(problems, err)
		if ctx.Err() != nil {
			break
		}
	}
	return none, failed(wasmabi.CodeUnreached, what, "no answer", errors.Join(problems...))
}

// coapTarget is the host and port of a request's URI, if that is one that may be judged.
func coapTarget(m *wasmabi.CoAPRequest) (string, error) {
	u, err := url.Parse(m.URI)
	if err != nil {
		return "", denied("make a request", "its URI can't be read")
	}
	op := m.Method + " " + u.Redacted()
	switch {
	case u.Scheme != "coap":
		return "", denied(op, "its scheme is not coap")
	case u.User != nil || u.Fragment != "":
		return "", denied(op, "it carries a user or a fragment, which CoAP has not")
	case u.Port() == "":
		return "", denied(op, "it names no port")
	case u.Hostname() != strings.ToLower(u.Hostname()):
		return "", denied(op, "its host is not in lower case")
	}
	return net.JoinHostPort(u.Hostname(), u.Port()), nil
}
