// Package daemon tests the real daemon as its user meets it: a process with a state folder, a socket and a tree of knobs,
// which is killed, starved of disk space and restarted. It is not a test of any one package, and it needs no
// hardware: the knobs are a recorded tree of plain files.
//
// The policy in testdata/pulse gives the knob a value that it never gives twice, so that the file of a knob names the
// decision that wrote it.
package daemon
