// What is known at one moment.

import { Reader, UINT } from "./cbor";
import { Knob, Metric } from "./setup";
import { FOREVER, MILLISECOND } from "./time";

/** What is known at one moment. The columns lie in the request window. A value that is not there is NaN. */
export class Observation {
  /** Counts the observations of this policy and asset. */
  seq: u64 = 0;
  /** When the observation was made: the episode's clock. */
  time: i64 = 0;
  /** Why: 0 the interval passed, 1 a metric crossed a bound, 2 a person asked. */
  trigger: u32 = 0;

  // The columns; tests read them.
  length: u32 = 0;
  ids: usize = 0;
  values: usize = 0;
  ages: usize = 0;
  knobsLength: u32 = 0;
  knobIds: usize = 0;
  knobValues: usize = 0;
  private dense: bool = false; // row i is metric i

  read(r: Reader): bool {
    r.exactly(8);
    this.seq = r.expect(UINT);
    this.time = r.int64();
    this.trigger = r.uint32();
    this.length = r.column32(4096);
    this.ids = r.text;
    const values = r.column64(4096);
    this.values = r.text;
    const ages = r.column32(4096);
    this.ages = r.text;
    this.knobsLength = r.column32(4096);
    this.knobIds = r.text;
    const knobValues = r.column64(4096);
    this.knobValues = r.text;
    if (!r.finish() || values != this.length || ages != this.length || knobValues != this.knobsLength) return false;
    let i: u32 = 0;
    while (i < this.length && load<u32>(this.ids + 4 * i) == i) i++;
    this.dense = i == this.length;
    return true;
  }

  /** The metric's value, or NaN when there is none. It may be old: see age. */
  value(m: Metric): f64 {
    const id = m.number - 1;
    if (this.dense) return id < this.length ? load<f64>(this.values + 8 * id) : NaN;
    if (!m.number) return NaN;
    for (let row = this.length; row; row--) {
      if (load<u32>(this.ids + 4 * (row - 1)) == id) return load<f64>(this.values + 8 * (row - 1));
    }
    return NaN;
  }

  /** The time since the metric's sample was taken; FOREVER when there is none. */
  age(m: Metric): i64 {
    const row = m.number ? find(this.ids, this.length, m.number - 1) : this.length;
    const age = row < this.length ? load<u32>(this.ages + 4 * row) : u32.MAX_VALUE;
    return age == u32.MAX_VALUE ? FOREVER : <i64>age * MILLISECOND;
  }

  /** As value, but only when the sample is at most that old. */
  fresh(m: Metric, age: i64): f64 {
    return this.age(m) > age ? NaN : this.value(m);
  }

  /** The value in effect now, in the knob's unit (for a choice its index), or NaN when it is not known. */
  knob(k: Knob): f64 {
    const row = k.number ? find(this.knobIds, this.knobsLength, k.number - 1) : this.knobsLength;
    return row < this.knobsLength ? load<f64>(this.knobValues + 8 * row) : NaN;
  }
}

/** The row with this id: at its own place when all are there, else by search; n when there is none. */
function find(ids: usize, n: u32, id: u32): u32 {
  if (id < n && load<u32>(ids + 4 * id) == id) return id;
  let i: u32 = 0;
  while (i < n && load<u32>(ids + 4 * i) != id) i++;
  return i;
}
