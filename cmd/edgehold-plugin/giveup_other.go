//go:build !linux

package main

// giveUp needs Linux.
func giveUp(uint64) error { return nil }
