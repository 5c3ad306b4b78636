// Package fallback runs adapters on the Extism project's SDK, in a process of their own (package helper): those whose manifest
// says door: extism-sdk, because they open files themselves, or need something else of WASI that our runner refuses. It is no second way to
// run policies, it links no SDK, and what it runs has neither fuel nor replay.
//
// The life of a [Plugin]:
//
//  1. [Prepare] reads the manifest, finds the program, and has it compile the plugin once, without any grant.
//  2. [Plugin.Grant] says what it may reach.
//  3. [Plugin.Operate] starts the process where none runs, and calls exports on a fresh instance. A process that died is
//     started again, at once the first time and then after longer and longer waits.
//  4. [Plugin.Rest] ends the process; the next operation starts another. [Plugin.Close] ends it for good.
package fallback
