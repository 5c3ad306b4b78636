// Package api holds the resource types that travel over Edgehold's HTTP interface: what a policy, a mechanism or a decision looks like as JSON.
// It is not the server, the client or the engine; it imports nothing but the standard library, so that anything may import it.
//
// # Conventions
//
//   - A field that carries a quantity names its unit: age_ms, fuel, size_bytes. Knob values are in the knob's base
//     unit (Hz, W, s), which stands beside them.
//   - Times are RFC 3339 in UTC with up to nanoseconds. A zero time is left out.
//   - A number that may be NaN or infinite is a [Float], which is a string in JSON, as in Prometheus.
//   - A list is an object with "items", so that a cursor or a total can join it later.
//   - What a person may have to act on carries a stable code, the cause and a hint: see [Problem].
package api
