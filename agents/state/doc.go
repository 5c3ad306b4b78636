// Package state is what an agent remembers across restarts: which policies it
// accepted, which version is active, their contexts, a few settings, and an
// audit trail, in one SQLite file beside a folder of modules. It is not a cache,
// a store of metrics, or a general database: other packages add their own tables
// through [DB.Migrate] and nothing else in the house imports SQLite.
//
// In the folder:
//
//	edgehold.db                 the database, write-ahead log, fully synchronous
//	edgehold.lock               held while open; says whether the last stop was clean
//	modules/sha256-HEX.wasm     accepted modules, by digest
//	modules/NAME.policy.json    the same facts as the policies' rows, should the file be lost
//	audit/NUMBER.jsonl          audit entries that were moved out of the database
//	edgehold.db.corrupt-TIME    a database that could not be read, set aside
//
// What returned without an error has been synchronised to the disk, unless its
// comment says otherwise ([DB.Later], contexts).
package state
