// Package delta writes a module as its difference from another one, and reads it back. A delta is one zstd frame that has
// the other module as its raw dictionary; `zstd --patch-from` reads and writes the same. It is not a transport, and vouches
// for nothing: whoever applies a delta checks the digest of what comes out.
package delta
