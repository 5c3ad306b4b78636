// Package decision is the agent's memory of what it decided and why: every
// decision that was acted on, made durable before the act, and as much of the
// rest as its budgets allow. It is not a log of the program, and it takes no part
// in deciding.
//
// # What is durable when
//
// A decision that is acted on is synchronised to the disk before the first knob
// moves (Begin), and again with its results (Finish). What nobody acted on (Note)
// waits for the next transaction, a second at most while [state.DB.Run] runs: a
// crash may lose that second of dull, discarded and failed episodes, nothing else.
//
// # What is kept
//
// Each class of outcomes has a budget of its own, in rows and in bytes, so that
// ten thousand dull episodes push out older dull ones and nothing else. Dull
// episodes are counted all, and kept as samples.
package decision
