// Command 05-rest-device is an adapter for a smart plug with a JSON interface: a relay that is on or off, and a fan that
// regulates itself until somebody takes it over. It is not a policy: it decides nothing.
package main

import (
	"github.com/edgehold/edgehold/sdk/go/adapter"
)

const (
	relay = "relay/0"
	fan   = "fan/speed"
)

type plug struct {
	device adapter.HTTP
	memory adapter.KV
}

func init() { adapter.Register(&plug{}) }

func main() {}

func (p *plug) Initialize(s *adapter.Setup) error {
	p.device, p.memory = s.HTTP("device"), s.KV("memory")
	return nil
}

// Knobs asks the device who it is, so that an old value is never written to another plug at the same address.
func (p *plug) Knobs() ([]adapter.Knob, error) {
	status, err := p.status()
	if err != nil {
		return nil, err
	}
	serial, err := status.At("serial").Text()
	if err != nil {
		return nil, err
	}
	socket := adapter.Switch(relay, "off", "on")
	socket.Summary, socket.Driver = "the socket's relay", "plug "+serial
	speed := adapter.Range(fan, "%", 0, 100)
	speed.Summary, speed.Step, speed.Driver = "the fan's speed; the plug regulates it until it is set", 5, "plug "+serial
	return []adapter.Knob{socket, speed}, nil
}

func (p *plug) Facts() []adapter.Fact {
	status, err := p.status()
	if err != nil {
		return nil
	}
	serial, _ := status.At("serial").Text()
	return []adapter.Fact{{Name: "driver", Value: "plug " + serial}}
}

func (p *plug) status() (adapter.JSON, error) {
	body, err := p.device.Get("/api/v1/status")
	return adapter.JSON(body), err
}

func (p *plug) Read(knob string) (adapter.Value, error) {
	status, err := p.status()
	if err != nil {
		return adapter.Value{}, err
	}
	switch knob {
	case relay:
		on, err := status.At("relay", "on").Bool()
		if on {
			return adapter.Choice("on"), err
		}
		return adapter.Choice("off"), err
	case fan:
		percent, err := status.At("fan", "percent").Number()
		return adapter.Number(percent), err
	}
	return adapter.Value{}, adapter.Unknown(knob)
}

func (p *plug) Write(knob string, v adapter.Value) error {
	switch knob {
	case relay:
		return p.change("PUT", "/api/v1/relay", `{"on":`+map[bool]string{true: "true", false: "false"}[v.Choice == "on"]+`}`)
	case fan:
		return p.change("PUT", "/api/v1/fan", `{"percent":`+adapter.Text(v.Number)+`}`)
	}
	return adapter.Unknown(knob)
}

// Revert gives the fan back to the plug's own regulation, unless it was taken over by somebody else before us.
func (p *plug) Revert(knob string, v adapter.Value) error {
	if knob != fan {
		return p.Write(knob, v)
	}
	if err := p.change("DELETE", "/api/v1/fan", ""); err != nil {
		return err
	}
	if now, err := p.Read(fan); err != nil || now == v {
		return err
	}
	return p.Write(fan, v)
}

// change makes a request with the token, and with a new one if the plug has forgotten the old.
func (p *plug) change(method, path, document string) error {
	token, err := p.memory.Get("token")
	if err != nil && !adapter.IsNotFound(err) {
		return err
	}
	for range 2 {
		response, err := p.device.Do(&adapter.Request{
			Method: method, URL: p.device.URL(path), Body: []byte(document),
			Header: []adapter.Header{{Name: "content-type", Value: "application/json"}, {Name: "x-token", Value: string(token)}},
		})
		switch {
		case err != nil:
			return err
		case response.Status/100 == 2:
			return nil
		case response.Status == 503:
			return adapter.Away(adapter.Failed("the plug is busy"))
		case response.Status != 401:
			return adapter.Failed("the plug answers " + adapter.Text(float64(response.Status)) + " to " + method + " " + path)
		}
		if token, err = p.pair(); err != nil {
			return err
		}
	}
	return adapter.Failed("the plug does not take the token that it gave out")
}

func (p *plug) pair() ([]byte, error) {
	response, err := p.device.Do(&adapter.Request{Method: "POST", URL: p.device.URL("/api/v1/pair")})
	if err != nil {
		return nil, err
	}
	token, err := adapter.JSON(response.Body).At("token").Text()
	if err != nil {
		return nil, err
	}
	adapter.Log("paired with the plug")
	return []byte(token), p.memory.Set("token", []byte(token))
}
