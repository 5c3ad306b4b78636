// Package scaffold writes, builds and tests the projects of policy authors, for the command line.
// It is not the SDK (sdk/go/policy is), and it runs no Wasm: what judges a module is handed in.
package scaffold
