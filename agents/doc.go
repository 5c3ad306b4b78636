// Package agents is the MAPE engine of an agent: it runs policies against
// observations, decides between their plans, and has mechanisms act on them.
// It is not a host for guests, a driver of knobs, or a store of metrics: those
// are reached through the small interfaces declared here, which the layer
// packages bind and tests replace by plain fakes.
//
// The life of one decision:
//
//  1. Something is due: the interval has passed, a metric crossed a bound that
//     the policy asked for, or a person asked. A loop for each (policy, asset)
//     waits for that and for nothing else.
//  2. The [Sensor] gives an [Observation]; the [Policy] begins an [Episode].
//  3. Analyze. A negative verdict ends here; the run is noted.
//  4. Plan, once for each positive verdict, in the same episode.
//  5. The plan is checked against its grants and queued, first in, first out.
//  6. The scheduler takes whatever waits (one cycle) and decides conflicts.
//  7. The [Log] makes the decision durable. Only then
//  8. the [Actuator] acts, once, without retry, and
//  9. the outcome is recorded. What was set stands under leases: one that
//     the plan named ends by itself, the others the loop renews for as long as
//     the loop itself is well.
//
// A loop has one version in charge. Beside it a [Contender] may run: on the same passes, with contexts of its own, compared
// and not applied, but for the passes that it decides as a canary. [Engine.Swap] exchanges the two between two passes.
package agents
