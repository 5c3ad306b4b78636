// Package leshan runs Eclipse Leshan's LwM2M client, the one that most servers are tested with, and its server, which most clients are,
// as processes beside ours. They are built by Maven from testdata, once for each content of their folders, into the user's cache folder.
//
// It is for tests; no program links it.
package leshan
