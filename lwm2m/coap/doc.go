// Package coap is an endpoint of the Constrained Application Protocol (RFC 7252): requests, answers and notifications over
// any number of sockets, with reliability, deduplication, block-wise transfer (RFC 7959) and observation (RFC 7641), in
// both roles at once, for a hundred thousand peers.
//
// It is not an LwM2M server, nor a router of paths: a [Handler] gets each request, and an observation belongs to who asked
// for it (see [Config].Notifications). It holds nothing for a peer that nothing is going on with.
//
// An [Endpoint] speaks over [Transport]s: [UDP] and [TCP] here, DTLS in lwm2m/coap/dtls. A [Peer] is a plain value that
// says where the other end is; whoever learns that a device moved uses another Peer for it from then on.
package coap
