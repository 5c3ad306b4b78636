// Package control is how a test reaches into a booted guest: files, processes, the clock and any socket in it, over one
// byte pipe such as a virtio serial port. It is not part of the product: nothing outside the whole-system harness
// speaks it, and it authenticates nobody.
//
// The pipe carries HTTP/2 without TLS, so that calls and streams share it without a framing of our own. [Serve] answers
// inside the guest, a [Client] asks from outside.
package control
