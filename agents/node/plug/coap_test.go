package plug

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/lwm2m/coap"
	"github.com/edgehold/edgehold/wasmabi"
)

// lamp is a device that keeps what it is told, and says what it was asked.
func lamp(t *testing.T) string {
	t.Helper()
	socket, err := coap.ListenUDP(t.Context(), coap.UDPConfig{Addresses: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	var kept []byte
	endpoint, err := coap.New(coap.Config{Transports: []coap.Transport{socket}, Handler: coap.HandlerFunc(
		func(_ context.Context, _ coap.Peer, request, response *coap.Message) {
			switch {
			case request.Path() != "/3311/0/5 851":
			case request.Code == coap.PUT:
				kept = bytes.Clone(request.Payload)
				response.Code = coap.Changed
			default:
				host, _ := request.Opaque(coap.URIHost)
				query, _ := request.Query("a")
				response.Code, response.Payload = coap.Content, append(append(append(kept, host...), ' '), query...)
				response.SetUint(coap.ContentFormat, 0)
			}
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- endpoint.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket.Addresses()[0].String()
}

// TestAdaptersReachDevicesOverCoAP goes the way of an adapter's call: grant, offer, and a real device.
func TestAdaptersReachDevicesOverCoAP(t *testing.T) {
	offers := []capability.Offer{{Kind: "coap", Hosts: []string{"lamp.example.org:5683"}, Methods: []string{"GET", "PUT"}, Address: lamp(t)}}
	request := wasmabi.CapabilityRequest{Name: "lamp", Kind: "coap", Hosts: []string{"lamp.example.org:5683"}, Methods: []string{"GET", "PUT"}, Bytes: 4096}
	if err := errors.Join(offers[0].Validate(), capability.Judge(&request, offers)); err != nil {
		t.Fatal(err)
	}
	set := capability.Open([]wasmabi.CapabilityRequest{request}, capability.Config{Offers: offers, CoAP: coapClient{}, Limits: capability.Limits{Timeout: time.Minute}})
	defer set.Close()
	do := func(r wasmabi.CoAPRequest) (wasmabi.CoAPResponse, error) {
		var answer wasmabi.CoAPResponse
		out, err := set.Handles()[0].Call(t.Context(), wasmabi.HandleCoAP, wasmabi.AppendCoAPRequest(nil, &r), nil)
		if err != nil {
			return answer, err
		}
		return answer, wasmabi.DecodeCoAPResponse(out, &answer)
	}
	const uri = "coap://lamp.example.org:5683/3311/0/5%20851?a=b%26c"
	long := bytes.Repeat([]byte("x"), 3000)
	if answer, err := do(wasmabi.CoAPRequest{Method: "PUT", URI: uri, Payload: long}); err != nil || answer.Code != 204 {
		t.Errorf("put: %+v, error %v", answer, err)
	}
	answer, err := do(wasmabi.CoAPRequest{Method: "GET", URI: uri})
	if want := string(long) + "lamp.example.org b&c"; err != nil || answer.Code != 205 || string(answer.Payload) != want || answer.Format != 1 {
		t.Errorf("get: %d %.40q, error %v", answer.Code, answer.Payload, err)
	}
	if answer, err := do(wasmabi.CoAPRequest{Method: "GET", URI: "coap://lamp.example.org:5683/"}); err != nil || answer.Code != 404 {
		t.Errorf("what is not there: %+v, error %v", answer, err)
	}
	if _, err := do(wasmabi.CoAPRequest{Method: "PUT", URI: uri, Payload: bytes.Repeat(long, 2)}); err == nil {
		t.Error("a payload beyond the grant went out")
	}
}

func TestAdaptersHearOfADeviceThatIsAway(t *testing.T) {
	request := wasmabi.CapabilityRequest{Name: "lamp", Kind: "coap", Hosts: []string{"127.0.0.1:9"}, Methods: []string{"GET"}}
	offers := []capability.Offer{{Kind: "coap", Hosts: request.Hosts, Methods: request.Methods}}
	set := capability.Open([]wasmabi.CapabilityRequest{request}, capability.Config{Offers: offers, CoAP: coapClient{}, Limits: capability.Limits{Timeout: time.Second}})
	defer set.Close()
	_, err := set.Handles()[0].Call(t.Context(), wasmabi.HandleCoAP, wasmabi.AppendCoAPRequest(nil, &wasmabi.CoAPRequest{Method: "GET", URI: "coap://127.0.0.1:9/1"}), nil)
	if e, ok := errors.AsType[*capability.Error](err); !ok || e.Code != wasmabi.CodeUnreached {
		t.Errorf("got %v", err)
	}
}
