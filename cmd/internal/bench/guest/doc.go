// Command guest is the policy that the benchmarks build for Wasm. It is not an example: it avoids the SDK.
package main
