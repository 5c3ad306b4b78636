// Package faredge has the far edge as a whole: the programs edgeholdd and edgehold, and mosquitto's, with Eclipse Leshan's client as the device,
// and with devices of ours behind a network that loses packets and changes addresses, while gateways and devices are killed.
//
// It is tests only. What one part does alone its own package tests.
package faredge
