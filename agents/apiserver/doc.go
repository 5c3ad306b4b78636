// Package apiserver serves Edgehold's HTTP interface: it checks who asks and what they ask, and passes it on to the small interfaces
// in backend.go.
// It is not the engine: it decides nothing, stores nothing, and knows neither policies' code nor mechanisms.
//
// # Life of a server
//
//  1. [New] validates the whole [Config] and opens the listeners; nothing answers yet.
//  2. [Server.Run] serves until its context ends.
//  3. It then refuses new work, sends a last event to every stream, lets requests in flight finish for
//     Config.DrainTimeout, and removes the socket that it had created.
//
// # Rules that hold for every request
//
//   - The unix socket is guarded by its file mode; the peer's uid is taken from the kernel, never from the request.
//   - TCP needs TLS 1.3 and a bearer token. Nothing switches that off.
//   - Every failure, those of the router included, is an RFC 9457 document with a stable code: see [api.Problem].
//   - Sizes, durations, concurrency, streams and failed log-ins are bounded.
package apiserver
