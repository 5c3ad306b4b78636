// Package toolchain finds the compilers of the languages that policies are written in, and runs them.
// It is neither an installer (cmd/internal/e2e/install-toolchains is) nor what explains a failed build to its author
// (cmd/internal/scaffold is).
package toolchain
