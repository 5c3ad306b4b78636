// Package bundle is the form that an artefact has outside of a node: an OCI image after the layout of the Cloud Native
// Computing Foundation for Wasm, alone, or as a file (.bundle) that holds it together with what vouches for it, as an OCI image
// layout in a tar. It moves nothing (package registry does) and believes nothing: digests and lengths are checked, signatures
// are package sign's.
package bundle
