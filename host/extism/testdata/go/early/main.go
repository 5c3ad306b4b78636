// Command early reads its configuration while it is initialised, when there is none yet.
package main

import "github.com/extism/go-pdk"

var greeting, _ = pdk.GetConfig("greeting")

//go:wasmexport greet
func greet() int32 {
	pdk.OutputString(greeting)
	return 0
}

func main() {}
