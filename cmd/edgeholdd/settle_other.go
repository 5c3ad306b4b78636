//go:build !linux

package main

import "runtime/debug"

// settle gives up what starting or preparing a policy has left in memory.
func settle() { debug.FreeOSMemory() }
