// Package store keeps artefacts as files that are named by the SHA-256 digest of their bytes, so that what was put comes
// back unchanged or not at all, across kill -9 and a full disk. It is not a cache: nothing goes away by itself, only
// [Store.Collect] removes, and only what its caller does not name. Nor does it know what an artefact means or which one runs.
//
// A folder belongs to one process at a time; its owner holds whatever lock there is. Within the process every method may
// be called from any goroutine.
package store
