// What the author of an Edgehold policy in AssemblyScript imports. It is neither a client of the daemon nor a way to do input and
// output: a policy gets an observation and answers with a verdict and a plan. See ../README.md.

export { fail, log, warn } from "./host";
export { Observation } from "./observation";
export { Plan, Settings } from "./plan";
export { Policy, register } from "./policy";
export { Cursor, Knob, Knobs, Mechanism, Metric, Setup } from "./setup";
export { State } from "./state";
export { Text, say } from "./text";
export { FOREVER, HOUR, MILLISECOND, MINUTE, NEVER, SECOND, seconds, since } from "./time";
export { Verdict, act, stay } from "./verdict";
