// Package policy is what the author of an Edgehold policy imports.
// It is neither a client of the daemon nor a way to do input and output: a policy gets an observation and answers
// with a verdict and a plan.
//
// A policy is a type with three methods, registered in an init function of package main:
//
//	type boost struct {
//		load   policy.Metric
//		limits []policy.Knob
//	}
//
//	func init() { policy.Register(&boost{}) }
//
//	func main() {}
//
//	func (b *boost) Initialize(s *policy.Setup) error {
//		b.load = s.Metric("node_load1")
//		b.limits = s.Knobs("CPUFrequency", "*/max_frequency")
//		return nil
//	}
//
//	func (b *boost) Analyze(o *policy.Observation) policy.Verdict {
//		if load, ok := o.Value(b.load); ok && load > 2 {
//			return policy.Act("load ", load, " is above 2")
//		}
//		return policy.Stay("the load is low")
//	}
//
//	func (b *boost) Plan(o *policy.Observation, p *policy.Plan) error {
//		p.SetMax(b.limits...)
//		return nil
//	}
//
// # What lives how long
//
// The order of calls is: Initialize; Load, if the policy is [Stateful] and has a context; Analyze; Plan, if the
// verdict says so; Save, if it is Stateful. That is one episode. The host runs EVERY EPISODE IN A FRESH INSTANCE:
//
//   - Global variables and fields of the policy start over with each episode. A counter kept in a field is 0 again
//     at the next Analyze.
//   - What [Stateful.Save] puts into the [State] is there at the next [Stateful.Load]: across episodes, restarts of
//     the daemon, and replacement of the policy by another version.
//
// This is why a decision can be replayed: it depends on the module, the observation and the context, and on nothing
// else. Time is the observation's time and stands still during an episode; random numbers are seeded by the host.
//
// # Failing
//
// An error from Initialize or Plan, and a panic anywhere, ends the episode; nothing is applied, and the host counts
// it against this version of the policy. An endless loop is cut off by the host.
package policy
