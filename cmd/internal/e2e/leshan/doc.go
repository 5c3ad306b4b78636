// Package leshan runs Eclipse Leshan's LwM2M client, the one that most servers are tested with, as a process beside ours. It
// is built by Maven from testdata/client, once for each content of that folder, into the user's cache folder.
//
// It is for tests; no program links it.
package leshan
