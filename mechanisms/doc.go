// Package mechanisms is what turns knobs on a machine and takes responsibility for them: the vocabulary (knob,
// command, result, lease) and the safety core, [Supervisor], that every write goes through. It is not a decision
// maker: it knows nothing of policies, metrics or plans, and it holds no knowledge of any particular knob either;
// that is a [Driver]'s, one package for each kernel interface or service (see cpufreq).
//
// The promise of the core, in the order in which a command meets it:
//
//  1. What the operator forbids or bounds ([Envelope]) holds whoever asks, and a clamp is visible in the [Result].
//  2. The value that a knob had before us is on disk before the first write to it, keyed by the boot.
//  3. A knob is held by a lease. When it is not renewed the knob goes to the next lease below, or to its old value.
//  4. After each write the knob is read back: the result tells what is so, never what was asked.
//  5. A command with several settings takes effect as a whole or is taken back.
//  6. Everything done is in an append-only, hash-chained audit.
//
// RATIONALE.md says why it is built this way, README.md how to write a driver.
package mechanisms
