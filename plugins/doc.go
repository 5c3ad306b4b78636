// Package plugins makes artefacts: it reads the policy.yaml that people write, and packs it into a Wasm module.
// It does not run modules (package host does), nor does it store or deliver them.
package plugins
