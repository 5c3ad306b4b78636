// The policy of ../../policy.go in AssemblyScript: it raises the CPU's frequency limit while the node is busy, and lowers it when the
// node has been calm for a while.

import {
  Knobs, Metric, NEVER, Observation, Plan, Policy, SECOND, Setup, State, Text, Verdict, act, register, say, seconds, since, stay,
} from "../../../../sdk/assemblyscript/assembly";

export * from "../../../../sdk/assemblyscript/assembly/exports";

// Modes that the policy is in; they last from one episode to the next.
const NONE: i64 = 0; // nothing decided yet: the knobs are as we found them
const BOOST: i64 = 1;
const SAVE: i64 = 2;

const LEASE = 30 * SECOND; // so that the limits fall back should the policy be removed
const STALE = 15 * SECOND; // an older value says nothing about now

class Boost extends Policy {
  private busy: Metric = new Metric();
  private limits: Knobs = new Knobs();
  private high: f64 = 0;
  private low: f64 = 0;
  private calm: i64 = 0;

  private mode: i64 = NONE;
  private calmSince: i64 = NEVER;

  initialize(s: Setup): void {
    this.busy = s.metric("node_cpu_utilisation_ratio");
    this.limits = s.knobs("CPUFrequency", "*/max_frequency");
    this.high = s.parameter("high");
    this.low = s.parameter("low");
    this.calm = seconds(s.parameter("calm"));
  }

  analyze(o: Observation): Verdict {
    const busy = o.fresh(this.busy, STALE);
    if (isNaN(busy)) return stay(say("there is no fresh utilisation"));
    if (busy > this.high) {
      this.mode = BOOST;
      this.calmSince = NEVER;
      return act(say("utilisation ").number(busy).text(" is above ").number(this.high)).wakeBelow(this.busy, this.low);
    }
    if (busy >= this.low) {
      this.calmSince = NEVER;
      return this.hold(say("utilisation ").number(busy).text(" is between ").number(this.low).text(" and ").number(this.high));
    }
    return this.calmDown(o.time, busy);
  }

  /** Lowers the limits once the node has been calm for long enough. */
  private calmDown(now: i64, busy: f64): Verdict {
    if (this.calmSince == NEVER) this.calmSince = now;
    const calm = since(this.calmSince, now);
    const why = say("utilisation ").number(busy).text(" is below ").number(this.low).text(" for ");
    if (calm < this.calm) return this.hold(why.duration(calm).text(" of ").duration(this.calm)).next(this.calm - calm);
    this.mode = SAVE;
    return act(why.duration(this.calm)).wakeAbove(this.busy, this.high);
  }

  /** Keeps the mode: by renewing its leases, if there is something to hold. */
  private hold(why: Text): Verdict {
    return new Verdict(this.mode != NONE, why).wakeAbove(this.busy, this.high);
  }

  plan(o: Observation, p: Plan): void {
    (this.mode == BOOST ? p.setMax(this.limits) : p.setMin(this.limits)).lease(LEASE);
  }

  get stateful(): bool {
    return true;
  }

  save(s: State): void {
    s.putInt("mode", this.mode);
    s.putTime("calm_since", this.calmSince);
  }

  load(s: State): void {
    this.mode = s.int("mode");
    this.calmSince = s.time("calm_since");
  }
}

register(new Boost());
