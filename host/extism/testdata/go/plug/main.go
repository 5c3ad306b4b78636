// Command plug is an adapter written as an ordinary Extism plugin: it speaks to the smart plug of examples/05-rest-device.
package main

import (
	"encoding/json"
	"fmt"

	"github.com/extism/go-pdk"
)

// device leaves the port out, as most URLs do.
const device = "http://plug.example.org/api/v1/"

const (
	fan   = "fan/speed"
	relay = "relay/0"
)

type status struct {
	Serial string `json:"serial"`
	Relay  struct {
		On bool `json:"on"`
	} `json:"relay"`
	Fan struct {
		Percent float64 `json:"percent"`
	} `json:"fan"`
}

type settings struct {
	Settings []struct {
		Knob  string `json:"knob"`
		Value any    `json:"value"`
	} `json:"settings"`
}

// request asks the device and fails the operation unless it agrees.
func request(method pdk.HTTPMethod, path, token string, body, into any) error {
	r := pdk.NewHTTPRequest(method, device+path)
	if token != "" {
		r.SetHeader("X-Token", token)
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r.SetBody(text)
	}
	answer := r.Send()
	if answer.Status() != 200 {
		return fmt.Errorf("%s %s: status %d", method, path, answer.Status())
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer.Body(), into)
}

func done(v any, err error) int32 {
	if err == nil && v != nil {
		err = pdk.OutputJSON(v)
	}
	if err != nil {
		pdk.SetError(err)
		return 1
	}
	return 0
}

//go:wasmexport options
func options() int32 {
	return done(map[string]any{"knobs": []map[string]any{
		{"name": relay, "choices": []string{"off", "on"}},
		{"name": fan, "unit": "%", "min": 0, "max": 100, "step": 5},
	}}, nil)
}

//go:wasmexport state
func state() int32 {
	var s status
	if err := request(pdk.MethodGet, "status", "", nil, &s); err != nil {
		return done(nil, err)
	}
	on := "off"
	if s.Relay.On {
		on = "on"
	}
	return done(map[string]any{
		"readings": []map[string]any{{"knob": relay, "value": on}, {"knob": fan, "value": s.Fan.Percent}},
		"facts":    map[string]string{"serial": s.Serial},
	}, nil)
}

//go:wasmexport apply
func apply() int32 { return done(nil, change(false)) }

//go:wasmexport revert
func revert() int32 { return done(nil, change(true)) }

func change(back bool) error {
	var wanted settings
	if err := json.Unmarshal(pdk.Input(), &wanted); err != nil {
		return err
	}
	var pairing struct {
		Token string `json:"token"`
	}
	if err := request(pdk.MethodPost, "pair", "", nil, &pairing); err != nil {
		return err
	}
	for _, s := range wanted.Settings {
		var err error
		switch {
		case s.Knob == relay:
			err = request(pdk.MethodPut, "relay", pairing.Token, map[string]any{"on": s.Value == "on"}, nil)
		case s.Knob == fan && back:
			err = request(pdk.MethodDelete, "fan", pairing.Token, nil, nil) // its own regulation is the old value
		case s.Knob == fan:
			err = request(pdk.MethodPut, "fan", pairing.Token, map[string]any{"percent": s.Value}, nil)
		default:
			err = fmt.Errorf("there is no knob %s", s.Knob)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func main() {}
