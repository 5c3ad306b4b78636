// Package rollout decides how a new version of a policy comes into charge, and how it goes back: a pure state machine. It
// prepares, runs and measures nothing; whoever owns it carries its [Action]s out and tells it, by [Event]s, what came of them.
//
// A [State] is all that one policy's rollouts need to remember. [State.Step] takes an event and returns the state after it
// and what has to be done now. It has no clock (events carry the time; [State.Due] says when to send a [Tick]), starts no
// goroutine, does no I/O, and answers every event in every state.
//
// # The contract with whoever carries it out
//
//  1. Events are given one at a time. The state that Step returns is stored durably before its actions are carried out.
//  2. Actions are carried out in order. Every one of them says how things shall be, so that doing it twice does no harm.
//  3. [Fetch], [Verify], [Validate], [Prepare], [Activate] and [RollBack] are answered by [Fetched], [Verified], [Validated],
//     [Prepared], [Activated] and [RolledBack], or by [Failed], with the same rollout. The others are not answered; if [Decide], [Shadow]
//     or [Canary] could not be carried out, that is a [Fault]. Events of an earlier rollout are ignored.
//  4. At each start of the process [Restarted] comes first, and until its actions are carried out no version decides.
//  5. What [State.Keeps] lists is never collected.
package rollout
