// Package proxy is the far-edge proxy agent (D3.3, 6.3.6): it stands for devices behind a gateway, so that policies see them as they see the node itself.
// What devices tell becomes metrics with a label for the device, and the knobs that they offer become knobs of one mechanism, DeviceKnobs.
// It is not a gateway, and reaches devices through SDF over MQTT alone: the gateway may run here or anywhere that the broker can be reached from.
//
//   - [Proxy.Run] follows announcements, and observes the properties that [Config.Properties] names. A value enters the ring with the time at which it was so, so that
//     a device that falls silent grows old there, and is never shown fresh.
//   - [Driver] turns knobs with the device's shell (D3.3, 6.3.1.2). A device that sleeps, is gone, or whose gateway is away has its knobs listed as unavailable,
//     and so has one that another agent holds. Where the device knows leases it is told one with each setting, and turns back alone when nobody renews it.
package proxy
