// Command hostile is an adapter that misbehaves after it has changed its device, each knob in a way of its own. It is for the
// tests of package adapter.
package main

import "github.com/edgehold/edgehold/sdk/go/adapter"

type hostile struct{ device adapter.KV }

func init() { adapter.Register(&hostile{}) }

func main() {}

var knobs = []string{"calm", "trap", "loop", "greedy", "liar", "talker"}

func (h *hostile) Initialize(s *adapter.Setup) error {
	h.device = s.KV("device")
	return nil
}

func (h *hostile) Knobs() ([]adapter.Knob, error) {
	var all []adapter.Knob
	for _, name := range knobs {
		all = append(all, adapter.Range(name, "1", 0, 100))
	}
	return all, nil
}

func (h *hostile) Read(knob string) (adapter.Value, error) {
	b, err := h.device.Get(knob)
	if adapter.IsNotFound(err) {
		return adapter.Number(10), nil
	}
	if err != nil {
		return adapter.Value{}, err
	}
	n, err := adapter.Parse(string(b))
	return adapter.Number(n), err
}

func (h *hostile) Revert(knob string, v adapter.Value) error { return h.put(knob, v.Number) }

func (h *hostile) put(knob string, n float64) error {
	return h.device.Set(knob, []byte(adapter.Text(n)))
}

var kept [][]byte

func (h *hostile) Write(knob string, v adapter.Value) error {
	n := v.Number
	if knob == "liar" {
		n = 99
	}
	if err := h.put(knob, n); err != nil {
		return err
	}
	switch knob {
	case "trap":
		panic("after the device has changed")
	case "loop":
		for i := 0; ; i++ {
			kept = kept[:0]
		}
	case "greedy":
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	case "talker":
		for {
			if _, err := h.device.Get(knob); err != nil && !adapter.IsNotFound(err) {
				return err
			}
		}
	}
	return nil
}
