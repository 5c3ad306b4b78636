// Package loop is what the loop of one policy runs on: the guest that decides, the dictionary by which it and the node know metrics and
// knobs, the sensor that it looks through and the actuator that it acts by. It does not choose which version runs, nor when: the
// first is package node's, the second the engine's.
package loop
