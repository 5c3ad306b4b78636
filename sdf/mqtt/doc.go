// Package mqtt binds SDF to MQTT v5: it is how whoever is not the gateway asks devices for things and hears what they tell.
// It is not a gateway, knows nothing of LwM2M, and holds no device's state: behind Things may stand any protocol.
//
// The life of a request is:
//
//  1. A [Client] publishes {"operation":"GET"} to the topic of a thing, an object, an instance or an affordance, with a
//     response topic of its own, correlation data, and its deadline as message expiry.
//  2. [Serve] hears it on its [Bus], checks it, and hands it to [Things] in its thing's turn.
//  3. The [Response] goes to the response topic in the encoding of the request, JSON or CBOR.
//
// What devices tell by themselves goes the other way, on topics of its own so that a gateway never hears itself:
// [Announce], [Unregister] and [Notify] publish it, [Client.Watch] and [Client.Observe] hear it.
//
// [Topic] is the grammar of the topics; RATIONALE.md says why it is as it is.
//
// Two things are a Bus: the [Broker] that is built in, for a gateway that needs no other process, and a [Connection] to any broker of MQTT v5.
package mqtt
