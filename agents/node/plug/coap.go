package plug

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"strings"

	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/wasmabi"
)

// coapClient makes the CoAP requests of adapters. Each has a socket and an endpoint of its own, which end with it: adapters ask seldom,
// and nothing of one request is there for the next, nor for the answers of others.
type coapClient struct{}

var _ capability.CoAP = coapClient{}

// Request implements capability.CoAP.
func (coapClient) Request(ctx context.Context, to netip.AddrPort, r *wasmabi.CoAPRequest, most uint64) (wasmabi.CoAPResponse, error) {
	var none wasmabi.CoAPResponse
	m, err := coapMessage(r)
	if err != nil {
		return none, err
	}
	socket, err := coap.ListenUDP(ctx, coap.UDPConfig{Addresses: []string{unspecified(to)}})
	if err != nil {
		return none, err
	}
	endpoint, err := coap.New(coap.Config{Transports: []coap.Transport{socket}, Limits: coap.Limits{
		Peers: 1, Workers: 1, Queue: 1, History: 16, Body: int(min(most, wasmabi.MaxBody)) + 1,
	}})
	if err != nil {
		return none, errors.Join(err, socket.Close())
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Run(run) }()
	answer, err := endpoint.Do(ctx, coap.Peer{Transport: socket.Name(), Remote: to}, m)
	stop()
	err = errors.Join(err, <-ended)
	switch {
	case errors.Is(err, coap.ErrTooLarge), err == nil && uint64(len(answer.Payload)) > most:
		return none, capability.ErrTooLong
	case err != nil:
		return none, err
	}
	out := wasmabi.CoAPResponse{Code: uint32(answer.Code.Class()*100 + answer.Code.Detail()), Payload: answer.Payload}
	if format, ok := answer.Uint(coap.ContentFormat); ok {
		out.Format = format + 1
	}
	return out, nil
}

// unspecified is every address of the family of to, and a free port.
func unspecified(to netip.AddrPort) string {
	if to.Addr().Is4() {
		return "0.0.0.0:0"
	}
	return "[::]:0"
}

var coapMethods = map[string]coap.Code{"GET": coap.GET, "POST": coap.POST, "PUT": coap.PUT, "DELETE": coap.DELETE}

// coapMessage is an adapter's request as a message (RFC 7252 section 6.4).
func coapMessage(r *wasmabi.CoAPRequest) (*coap.Message, error) {
	u, err := url.Parse(r.URI)
	if err != nil {
		return nil, err
	}
	m := &coap.Message{Code: coapMethods[r.Method], Payload: r.Payload}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		m.AddString(coap.URIHost, u.Hostname())
	}
	for id, part := range map[coap.OptionID]string{coap.URIPath: strings.TrimPrefix(u.EscapedPath(), "/"), coap.URIQuery: u.RawQuery} {
		separator := "/"
		if id == coap.URIQuery {
			separator = "&"
		}
		if part == "" {
			continue
		}
		for _, one := range strings.Split(part, separator) {
			value, err := url.PathUnescape(one)
			if err != nil {
				return nil, err
			}
			m.AddString(id, value)
		}
	}
	if r.Format > 0 {
		m.SetUint(coap.ContentFormat, r.Format-1)
	}
	if r.Accept > 0 {
		m.SetUint(coap.Accept, r.Accept-1)
	}
	return m, nil
}
