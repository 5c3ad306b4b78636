// What is to be done.

import { ARRAY, UINT, Writer } from "./cbor";
import { Failure } from "./host";
import { Knob, Knobs, Mechanism } from "./setup";
import { Text, say } from "./text";
import { MILLISECOND } from "./time";

const SET: u32 = 0;
const RESET: u32 = 1;

/** Collects what Policy.plan wants done. A setting that can't be meant fails the whole plan. */
export class Plan {
  /** The plan's reason for people. Without it the reason of the verdict stands. */
  why: Text = new Text();
  private mechanisms: Array<u32> = [];
  private verbs: Array<u32> = [];
  private knobs: Array<u32> = [];
  private values: Array<f64> = [];
  private leases: Array<u32> = [];

  get rows(): i32 {
    return this.knobs.length;
  }

  private since(from: i32): Settings {
    return new Settings(this, from);
  }

  private refuse(what: Text): void {
    Failure.set("policy.plan", say("the plan would ").bytes(what.at, what.length));
  }

  add(mechanism: u32, verb: u32, knob: u32, value: f64): void {
    this.mechanisms.push(mechanism);
    this.verbs.push(verb);
    this.knobs.push(knob);
    this.values.push(value);
    this.leases.push(0);
  }

  /** Gives a knob a value in the knob's unit. Values outside the range are clamped, and reported, below the policy. */
  set(k: Knob, value: f64): Settings {
    const from = this.rows;
    if (!k.number) this.refuse(say("set a knob that was not found at initialisation"));
    else if (!isFinite(value)) this.refuse(say("set ").text(k.name).text(" to ").number(value));
    else this.add(k.mechanism, SET, k.number - 1, value);
    return this.since(from);
  }

  private setEnd(knobs: Knobs, top: bool): Settings {
    const from = this.rows;
    for (const c = knobs.each(); c.next(); ) {
      const k = c.knob;
      if (k.hasRange) this.set(k, top ? k.most : k.least);
      else this.refuse(say("set ").text(k.name).text(" to an end of its range: it has none"));
    }
    return this.since(from);
  }

  /** Sets each knob to the top of its range. */
  setMax(knobs: Knobs): Settings {
    return this.setEnd(knobs, true);
  }

  /** Sets each knob to the bottom of its range. */
  setMin(knobs: Knobs): Settings {
    return this.setEnd(knobs, false);
  }

  /** Sets each knob to the value. */
  setAll(knobs: Knobs, value: f64): Settings {
    const from = this.rows;
    for (const c = knobs.each(); c.next(); ) this.set(c.knob, value);
    return this.since(from);
  }

  /** Sets a knob that is a choice by name. */
  choose(k: Knob, choice: string): Settings {
    for (let i: u32 = 0; i < k.choicesLength; i++) if (k.choice(i) == choice) return this.set(k, i);
    this.refuse(say("set ").text(k.name).text(" to ").text(choice).text(", which is not one of its choices"));
    return this.since(this.rows);
  }

  /** Gives every granted knob of the mechanism its original value back. */
  reset(m: Mechanism): Settings {
    const from = this.rows;
    if (!m.number) this.refuse(say("reset a mechanism that was not found at initialisation"));
    else this.add(m.number - 1, RESET, u32.MAX_VALUE, 0);
    return this.since(from);
  }

  /** Gives each knob its original value back. */
  resetKnobs(knobs: Knobs): Settings {
    const from = this.rows;
    for (const c = knobs.each(); c.next(); ) this.add(c.knob.mechanism, RESET, c.knob.number - 1, 0);
    return this.since(from);
  }

  lease(from: i32, duration: i64): void {
    const ms = duration / MILLISECOND;
    if (ms < 1 || ms >= <i64>u32.MAX_VALUE) this.refuse(say("lease a knob for ").duration(duration));
    for (let i = from; i < this.rows; i++) this.leases[i] = <u32>ms;
  }

  write(seq: u64, w: Writer): void {
    w.head(ARRAY, 7);
    w.head(UINT, seq);
    w.text(this.why.at, this.why.length);
    w.column32(this.mechanisms);
    w.column32(this.verbs);
    w.column32(this.knobs);
    w.column64(this.values);
    w.column32(this.leases);
  }
}

/** The settings that one call added. */
export class Settings {
  constructor(
    private plan: Plan,
    private from: i32,
  ) {}

  /**
   * Says after how long the knobs get their original values back, unless a later plan sets them again by then. Without it they hold for
   * as long as the policy is in charge and well.
   */
  lease(duration: i64): void {
    this.plan.lease(this.from, duration);
  }
}
