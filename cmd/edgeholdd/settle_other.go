//go:build !linux

package main

// settle gives up what starting or preparing a policy has left in memory.
func settle() { settleHeap() }
