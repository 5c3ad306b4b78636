// The answer to an observation.

import { ARRAY, UINT, FALSE, TRUE, Writer } from "./cbor";
import { Failure } from "./host";
import { Metric } from "./setup";
import { Text, say } from "./text";
import { HOUR, MILLISECOND } from "./time";

/** The answer of Policy.analyze. Make it with act or stay; its methods return it. */
export class Verdict {
  private after: i64 = 0;
  private ids: Array<u32> = [];
  private above: Array<f64> = [];
  private below: Array<f64> = [];

  constructor(
    public acts: bool,
    public why: Text,
  ) {}

  /** Asks for the next analyze after that time at the latest, once. Without it the interval of policy.yaml holds. */
  next(after: i64): Verdict {
    this.after = after;
    return this;
  }

  /**
   * Asks for an analyze as soon as the metric goes above value, without waiting for the interval. Bounds replace those of the verdict
   * before; a verdict without any keeps them.
   */
  wakeAbove(m: Metric, value: f64): Verdict {
    return this.wake(m, value, NaN);
  }

  /** As wakeAbove, for the other direction. */
  wakeBelow(m: Metric, value: f64): Verdict {
    return this.wake(m, NaN, value);
  }

  wake(m: Metric, above: f64, below: f64): Verdict {
    if (!m.number) Failure.set("policy.not-found", say("wake on a metric that was not found at initialisation"));
    this.ids.push(m.number - 1);
    this.above.push(above);
    this.below.push(below);
    return this;
  }

  write(seq: u64, w: Writer): void {
    w.head(ARRAY, 7);
    w.head(UINT, seq);
    w.byte(this.acts ? TRUE : FALSE);
    w.head(UINT, max(0, min(this.after / MILLISECOND, (24 * HOUR) / MILLISECOND)));
    w.text(this.why.at, this.why.length);
    w.column32(this.ids);
    w.column64(this.above);
    w.column64(this.below);
  }
}

/** Says that a plan is needed, and why. */
export function act(why: Text): Verdict {
  return new Verdict(true, why);
}

/** Says that nothing has to change, and why. */
export function stay(why: Text): Verdict {
  return new Verdict(false, why);
}
