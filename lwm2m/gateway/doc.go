// Package gateway binds LwM2M devices to SDF over MQTT (D3.3 §6.3.2): what is asked over MQTT it asks of the device, what a
// device tells it publishes, and it announces who is there. It opens no socket and reads no configuration, which
// edgeholdd does; it neither speaks LwM2M (lwm2m/server) nor knows how models and values are translated (sdf/oma), nor how
// MQTT carries them (sdf/mqtt).
//
// The life of a Gateway: New takes a server and a bus; Run announces every device that the server knows, answers requests
// and publishes notifications until its context ends. Announcing follows the state of the server, not its events: an
// event only says whose announcement to look at again, so none that is missed leaves anything wrong for long.
package gateway
