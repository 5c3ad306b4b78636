// Package guard is the process that outlives the daemon: when the daemon dies, or stops moving, it puts the knobs
// back from the journal that the daemon has kept. It is not a watchdog: it restarts nothing, decides nothing, and does
// only what [mechanisms.Supervisor] would have done.
//
// The daemon starts it by [Keep], from its own executable; the program's main hands the hidden subcommand to [Main].
// The guard holds the reading end of a pipe whose writing end nobody but the daemon has, so the kernel tells it of the
// daemon's death, whatever the cause. Then:
//
//   - It waits a grace, so that a daemon that is restarted at once finds its leases running and adopts them.
//   - As soon as another daemon owns the state folder, the guard ends.
//   - Otherwise it follows the exit policy: all knobs back at once, or each at the deadline of its lease.
//   - Knobs that can't be written, for their CPUs are offline, are tried again until a bound.
//
// While the daemon lives the guard looks at the leases' deadlines. One that has passed by more than the grace means
// that the daemon does not move, and the guard puts those knobs back itself.
package guard
