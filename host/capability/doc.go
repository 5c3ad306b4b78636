// Package capability is what an adapter can reach: handles for http, file, kv and coap, each no wider than its manifest asks
// for and its node offers. It decides neither what an operator allows nor where a store is kept, it has no way to run a
// program, and speaks no CoAP: a node that offers it brings a client.
//
// The life of a grant:
//
//  1. [Judge] compares a request with the node's offers and says what is missing.
//  2. [Open] makes a [Set] of what was granted, for as long as the adapter runs.
//  3. [Set.Handles] makes the handles of one session; they count what that session does.
//  4. [Set.Close] gives everything back.
//
// Both lists hold at every call: what the module asks for and what the node offers are looked up again for each host, path
// and method, so a grant can't outgrow either.
package capability
