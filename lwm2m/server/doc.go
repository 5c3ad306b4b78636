// Package server is an LwM2M server, versions 1.0 to 1.2 (OMA-TS-LightweightM2M_Core and _Transport): devices register
// with it, it reads, writes, executes and observes what they have, and remembers all of that over its own restarts and its
// devices' changes of address. It carries a hundred thousand devices: a device that nothing is going on with is some
// hundred bytes, no goroutine, no timer and no map.
//
// It is not a gateway: it knows no SDF and no MQTT, and decides about no device's workloads. It is no bootstrap server
// either; that is lwm2m/server/bootstrap.
//
// A Server is made by [New] and works while [Server.Run] runs. A device is known by its endpoint name, which is bound to the
// principal that the transport's security vouches for (see [Config].Authorise), never to an address.
package server
