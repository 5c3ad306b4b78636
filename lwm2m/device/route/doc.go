// Package route carries values between the workloads of a device, other devices and brokers, as D3.3 section 6.3.1.3 has it: our object
// 35001, Data Route, of which each instance is an origin and a destination.
//
//	local://1/temp_avg        output temp_avg of the workload in instance 1 of object 9; as a destination its input
//	coap://endpoint1          origin: what is posted to /endpoint1 of this device
//	coap://host:port/path     destination: a POST there
//	mqtt://host:port/topic    destination: an MQTT 5 publication with QoS 1
//	mqtts://host:port/topic   the same by TLS; what lets the device in is in its own settings
//
// It is no store: what can't be delivered is tried for a while and dropped; of a queue that is full the oldest gives way. A number travels as
// plain text, bytes as they are. A value that goes round is stopped: routes on one device may not form a loop, and over CoAP each device
// takes one off the Hop-Limit (RFC 8768).
package route
