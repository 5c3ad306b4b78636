// Package ring keeps the last minutes of every metric in memory: bounded in time, series and bytes,
// readable as PromQL and, for policies, as selections that are kept up to date while samples arrive.
//
// It is not a database: nothing is written to disk, and what has left the window is gone.
//
// # Contract
//
//   - A series is a name and a set of labels. Its samples have strictly growing times in unix
//     milliseconds; a sample that is late, doubled, too old or too far ahead is dropped and counted.
//   - A new series past the bound is refused. Series that had no sample for a whole window make room
//     first; a live series is never evicted.
//   - Appending is safe from any goroutine and never waits for a reader.
//   - A watch calls back in the goroutine that appended the sample, after all locks of the store
//     have been released. The callback must not block.
//   - Nothing here starts a goroutine but the query engine; [Store.Run] does the periodic work.
package ring
