// Package adapter is what the author of an Edgehold adapter imports: a module that makes a device's knobs into a mechanism.
// It decides nothing (policies do, with package policy), and it takes care of neither ranges nor leases nor the way back: the
// agent in front of it does, as for every mechanism.
//
// An adapter is a type with four methods, registered in an init function of package main:
//
//	type plug struct{ device adapter.HTTP }
//
//	func init() { adapter.Register(&plug{}) }
//
//	func main() {}
//
//	func (p *plug) Initialize(s *adapter.Setup) error {
//		p.device = s.HTTP("device")
//		return nil
//	}
//
//	func (p *plug) Knobs() ([]adapter.Knob, error) {
//		return []adapter.Knob{adapter.Switch("relay/0", "off", "on")}, nil
//	}
//
//	func (p *plug) Read(knob string) (adapter.Value, error) { ... }
//
//	func (p *plug) Write(knob string, v adapter.Value) error { ... }
//
// The manifest, policy.yaml, says `kind: adapter`, which mechanism it provides, and which capabilities it asks for: http, file,
// kv, coap. A handle that it did not ask for, or that was not granted, does not exist; there is no other way out.
//
// # What lives how long
//
// Every operation runs in a FRESH INSTANCE: Initialize, then one of the other methods. Fields and globals start over each
// time. What has to last belongs into a [KV].
//
// # Failing
//
// [Away] marks a failure that may pass: the device is switched off, say. Its knobs are then skipped when they are set, and waited for
// when they are put back. [HTTP] and [CoAP] do so by themselves when nobody answers. Any other error, a panic and an endless
// loop fail the command; what it changed before is taken back.
package adapter
