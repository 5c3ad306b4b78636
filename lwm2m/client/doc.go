// Package client is the device's side of LwM2M 1.0 to 1.2: it bootstraps, registers and stays registered with one or more servers, and
// serves what they ask of the device's objects, at once or as notifications. It holds no objects of its own beyond the ways to build them
// (lwm2m/device has those), speaks no CoAP itself (lwm2m/coap does) and knows no payload format (lwm2m/codec does).
//
// An [Object] needs three methods; whatever else it can do it shows by further interfaces: [Writer], [Executor], [Factory], [Streamer],
// [Announcer]. The engine checks a request against the object's [Definition], against access rights and kinds of values before it calls
// the object, and makes one call at a time, so an object need not lock against the engine, only against its own goroutines.
//
// What may grow has a bound in [Limits].
package client
