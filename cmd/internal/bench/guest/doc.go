// Command guest is the policy that the benchmarks build for Wasm: package policy behind the ABI. It is not an example: it
// avoids the SDK. Built for anything else it does nothing.
package main

func main() {}
