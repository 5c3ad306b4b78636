// Package runner runs workloads and policies: it starts their modules under package host, calls them when an input came in or their tick is due, hands
// their outputs on, and measures what each of them uses. It neither knows how a module came to the device (package software does) nor
// where outputs go (package route).
//
// One goroutine, [Runner.Run], makes all calls of inputs and ticks, one after the other, so that a device of one processor needs one
// stack. [Runner.Start] and [Runner.Stop] call the guest on their caller's. A workload that traps or breaks a limit is started anew, each
// time later, up to [MaxDelay]; one that answers with an error goes on. Knobs that it has turned go back to their defaults when it ends or
// begins anew, but those that somebody else has turned since.
//
// A policy is run as on a node: an episode in a fresh instance at each interval, or when a metric crosses a bound, over what the device
// knows of itself. Its plans are checked whole before a knob is turned, and hold a knob against other policies while their lease lasts.
package runner
