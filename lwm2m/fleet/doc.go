// Package fleet simulates LwM2M devices, a hundred thousand of them in one process: each has an address of its own in 127/8,
// registers, updates, answers reads and observations, notifies, sleeps, loses packets, changes its address, and is reset.
//
// It is not a client: lwm2m/client is. A simulated device is some eighty bytes and knows three resources; it shares a socket with half
// of the fleet, which sends from and hears for all their addresses (IP_PKTINFO), and one goroutine keeps the time of all.
package fleet
