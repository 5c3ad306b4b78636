package capability

import (
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/edgehold/edgehold/wasmabi"
)

// asked is a CoAP that notes where it is sent.
type asked struct {
	to  []netip.AddrPort
	err error
}

func (a *asked) Request(_ context.Context, to netip.AddrPort, r *wasmabi.CoAPRequest, _ uint64) (wasmabi.CoAPResponse, error) {
	a.to = append(a.to, to)
	return wasmabi.CoAPResponse{Code: 205, Payload: []byte(r.Method)}, a.err
}

func TestCoAP(t *testing.T) {
	request := wasmabi.CapabilityRequest{Name: "lamp", Kind: wasmabi.CapabilityCoAP, Hosts: []string{"lamp.example.org:5683", "127.0.0.1:5683"}, Methods: []string{"GET", "PUT"}, Bytes: 4}
	offer := Offer{Kind: wasmabi.CapabilityCoAP, Hosts: []string{"lamp.example.org:5683"}, Methods: []string{"GET", "PUT"}, Address: "192.0.2.9:5683"}
	for _, c := range []struct {
		name, method, uri, payload string
		err                        error
		code                       string // "" is an answer
	}{
		{"as granted", "GET", "coap://lamp.example.org:5683/3311/0/5850?a=b", "", nil, ""},
		{"a method that is not asked for", "DELETE", "coap://lamp.example.org:5683/", "", nil, wasmabi.CodeNotGranted},
		{"a host that is not asked for", "GET", "coap://door.example.org:5683/", "", nil, wasmabi.CodeNotGranted},
		{"a host that is not offered", "GET", "coap://127.0.0.1:5683/", "", nil, wasmabi.CodeNotGranted},
		{"another port", "GET", "coap://lamp.example.org:5684/", "", nil, wasmabi.CodeNotGranted},
		{"no port", "GET", "coap://lamp.example.org/", "", nil, wasmabi.CodeNotGranted},
		{"another scheme", "GET", "coaps://lamp.example.org:5683/", "", nil, wasmabi.CodeNotGranted},
		{"a user", "GET", "coap://me@lamp.example.org:5683/", "", nil, wasmabi.CodeNotGranted},
		{"a host in capitals", "GET", "coap://Lamp.example.org:5683/", "", nil, wasmabi.CodeNotGranted},
		{"no URI", "GET", "coap://%", "", nil, wasmabi.CodeNotGranted},
		{"too long a payload", "PUT", "coap://lamp.example.org:5683/", "12345", nil, wasmabi.CodeLimit},
		{"too long an answer", "GET", "coap://lamp.example.org:5683/", "", ErrTooLong, wasmabi.CodeLimit},
		{"no answer", "GET", "coap://lamp.example.org:5683/", "", errors.New("silence"), wasmabi.CodeUnreached},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := &asked{err: c.err}
			h := open(t, request, Config{Offers: []Offer{offer}, CoAP: client})
			in := wasmabi.AppendCoAPRequest(nil, &wasmabi.CoAPRequest{Method: c.method, URI: c.uri, Payload: []byte(c.payload)})
			out, err := h.Call(t.Context(), wasmabi.HandleCoAP, in, nil)
			if c.code != "" {
				wantCode(t, err, c.code)
			}
			if reached := c.code == "" || c.err != nil; reached != (len(client.to) == 1 && client.to[0].String() == offer.Address) {
				t.Errorf("went to %v", client.to)
			}
			if c.code != "" {
				return
			}
			var answer wasmabi.CoAPResponse
			if err := errors.Join(err, wasmabi.DecodeCoAPResponse(out, &answer)); err != nil || answer.Code != 205 || string(answer.Payload) != c.method {
				t.Errorf("got %+v, error %v", answer, err)
			}
		})
	}
	t.Run("a node without a client", func(t *testing.T) {
		h := open(t, request, Config{Offers: []Offer{offer}})
		_, err := h.Call(t.Context(), wasmabi.HandleCoAP, wasmabi.AppendCoAPRequest(nil, &wasmabi.CoAPRequest{Method: "GET", URI: "coap://lamp.example.org:5683/"}), nil)
		wantCode(t, err, wasmabi.CodeNotGranted)
	})
	t.Run("an offer is valid", func(t *testing.T) {
		if err := offer.Validate(); err != nil {
			t.Error(err)
		}
	})
}
