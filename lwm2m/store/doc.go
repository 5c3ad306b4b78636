// Package store keeps what an LwM2M gateway must know again after a restart: registrations, observations, write attributes,
// queued requests, learnt formats, and the states of DTLS associations. It is an append log with an index in memory:
// every record is checksummed, many share one flush of the disk, and dead records are compacted away into a snapshot.
//
// It is not a database: no queries, no transactions over several keys, one process at a time. It does not look into values,
// and knows no protocol.
package store
