//go:build race

package compile

// The race detector's shadow memory is many times the heap.
const boundsAddressSpace = false

// slowdown is what its checks cost.
const slowdown = 10
