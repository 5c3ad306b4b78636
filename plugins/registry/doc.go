// Package registry moves artefacts between OCI registries, folders in the form of an OCI image layout, and the store of a node:
// modules, deltas between them, and trust metadata. It is neither the judge of what may run (package sign is) nor a registry for
// the world: what it serves, [Mirror], is read-only and made of what a node has anyway.
//
// Whatever comes from the other side is hostile until its digest was checked: sizes are bounded before anything is
// downloaded, transfers that stall are given up and resumed, redirects are few and lead neither from TLS to plain HTTP
// nor credentials to another host.
package registry
