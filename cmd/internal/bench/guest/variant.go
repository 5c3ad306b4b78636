//go:build wasip1

package main

// variant makes builds differ in code: the benchmark of resident memory replaces this file, because policies that
// have the same code would share it.
//
//go:noinline
func variant(v float64) float64 { return v + 0 }
