// Package shell asks the knob shell of a device behind a gateway (D3.3, 6.3.1.2): a command is written to the first element of object 19's Data, and its answer read from
// the second. It is the side that asks: what answers is on the device, lwm2m/device/knob here, and other people's elsewhere. Who may turn a knob, and when, is for its user to decide.
//
// The shell has one place for an answer, and others may ask at the same time. A gateway that tells the command with the answer shows whose it is, and a command
// whose answer was another's is said again: each may be said more than once.
//
// Devices are strangers. What of an answer is no table of short words that can be printed is left out.
package shell
