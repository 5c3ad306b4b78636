// Package sign says which modules may run and on which node: the roles of The Update Framework, split in the manner of
// Uptane into an image repository (what exists, vouched for by offline keys) and a director (what each node runs).
// A [Repository] is the operator's folder of metadata and keys, a [Client] is what a node remembers and believes.
//
// It is not a transport: metadata comes out of a [Source], and modules are judged by their digest and length alone. Nor
// does it run, store or deliver modules.
package sign
