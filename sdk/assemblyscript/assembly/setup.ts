// What a policy is told before its first observation, and the handles that it looks up there.

import { BYTES, Keys, MAX_CONTEXT, Reader, equal } from "./cbor";
import { Failure } from "./host";
import { Text } from "./text";

/** One value of the observations. Number 0 never has one. */
export class Metric {
  constructor(public number: u32 = 0 /* the id plus one */) {}
}

/** A mechanism that plans may use. Number 0 is none. */
export class Mechanism {
  constructor(public number: u32 = 0 /* the id plus one */) {}
}

/** One granted knob. Number 0 can't be set. */
export class Knob {
  /** Its number, which is its id plus one. */
  number: u32 = 0;
  mechanism: u32 = 0;
  // The ends of its range; it has one if least <= most, or a table.
  least: f64 = NaN;
  most: f64 = NaN;
  private nameAt: usize = 0;
  nameLength: u32 = 0;
  private unitAt: usize = 0;
  private unitLength: u32 = 0;
  private tableAt: usize = 0;
  tableLength: u32 = 0;
  private choicesAt: usize = 0;
  private choicesEnd: usize = 0;
  choicesLength: u32 = 0;

  /** Its name within its mechanism, for example "policy0/max_frequency". */
  get name(): string {
    return String.UTF8.decodeUnsafe(this.nameAt, this.nameLength);
  }

  /** The unit of its values, for example "Hz". */
  get unit(): string {
    return String.UTF8.decodeUnsafe(this.unitAt, this.unitLength);
  }

  get hasRange(): bool {
    return this.tableLength > 0 || this.least <= this.most;
  }

  /** Value i of the only ones that can be set. */
  value(i: u32): f64 {
    return i < this.tableLength ? load<f64>(this.tableAt + 8 * i) : NaN;
  }

  /** Name i of those that Plan.choose takes. */
  choice(i: u32): string {
    const r = new Reader().begin(this.choicesAt, <u32>(this.choicesEnd - this.choicesAt));
    for (let n: u32 = 0; n <= i; n++) r.name();
    return String.UTF8.decodeUnsafe(r.text, r.length);
  }

  matches(pattern: ArrayBuffer): bool {
    return match(changetype<usize>(pattern), pattern.byteLength, this.nameAt, this.nameLength);
  }

  isNamed(name: ArrayBuffer): bool {
    return equal(this.nameAt, this.nameLength, name);
  }

  read(r: Reader): void {
    this.least = this.most = NaN;
    this.mechanism = this.nameLength = this.unitLength = this.tableLength = this.choicesLength = 0;
    const k = new Keys(r);
    while (k.next()) {
      if (k.is("max")) this.most = r.float();
      else if (k.is("min")) this.least = r.float();
      else if (k.is("name")) {
        r.name();
        this.nameAt = r.text;
        this.nameLength = r.length;
      } else if (k.is("unit")) {
        r.name();
        this.unitAt = r.text;
        this.unitLength = r.length;
      } else if (k.is("table")) {
        this.tableLength = r.column64(256);
        this.tableAt = r.text;
      } else if (k.is("choices")) {
        this.choicesLength = r.list(256);
        this.choicesAt = r.at;
        for (let i: u32 = 0; i < this.choicesLength; i++) r.name();
        this.choicesEnd = r.at;
      } else if (k.is("mechanism")) this.mechanism = r.uint32();
      else r.skip();
    }
    if (this.tableLength && !r.bad) this.tableRange();
  }

  /** The ends of a table are those of the range; one NaN makes both NaN. */
  private tableRange(): void {
    this.least = this.most = this.value(0);
    for (let i: u32 = 1; i < this.tableLength; i++) {
      const v = this.value(i);
      this.least = isNaN(v) || v < this.least ? v : this.least;
      this.most = isNaN(v) || v > this.most ? v : this.most;
      if (isNaN(v)) return;
    }
  }
}

/** In a pattern * stands for any text without a slash, and ? for one byte that is not a slash. */
function match(pattern: usize, patternLength: u32, name: usize, nameLength: u32): bool {
  let p: u32 = 0;
  let n: u32 = 0;
  let star: i32 = -1; // the place after the last star
  let from: u32 = 0;
  while (true) {
    const c: u8 = p < patternLength ? load<u8>(pattern + p) : 0;
    if (p < patternLength && c == 0x2a) {
      star = ++p;
      from = n;
    } else if (n == nameLength && p == patternLength) {
      return true;
    } else if (n < nameLength && p < patternLength && (c == load<u8>(name + n) || (c == 0x3f && load<u8>(name + n) != 0x2f))) {
      p++;
      n++;
    } else if (star >= 0 && from < nameLength && load<u8>(name + from) != 0x2f) {
      p = star; // the star takes one byte more
      n = ++from;
    } else {
      return false;
    }
  }
}

/** The granted knobs of a mechanism whose names match a pattern. They are looked up when they are used. */
export class Knobs {
  constructor(public mechanism: u32 = 0 /* the id plus one */, public pattern: ArrayBuffer = new ArrayBuffer(0)) {}

  /** All of them. */
  each(): Cursor {
    return new Cursor(this);
  }
}

/** Walks a selection: for (const c = knobs.each(); c.next(); ) ... c.knob ... */
export class Cursor {
  /** The knob that next found. It changes with each next. */
  knob: Knob = new Knob();
  private r: Reader = new Reader();
  private at: u32 = 0;

  constructor(private selection: Knobs) {
    this.r.begin(Setup.current.knobsAt, <u32>(Setup.current.knobsEnd - Setup.current.knobsAt));
  }

  next(): bool {
    const wanted = this.selection.mechanism;
    const pattern = this.selection.pattern;
    while (this.at < Setup.current.knobsLength) {
      this.knob.read(this.r);
      this.knob.number = ++this.at;
      if (wanted && this.knob.mechanism == wanted - 1 && (!pattern.byteLength || this.knob.matches(pattern))) return true;
    }
    return false;
  }
}

/** A list of names inside the init message. */
class Names {
  at: usize = 0;
  end: usize = 0;
  length: u32 = 0;

  read(r: Reader, most: u32): void {
    this.length = r.list(most);
    this.at = r.at;
    for (let i: u32 = 0; i < this.length; i++) r.name();
    this.end = r.at;
  }

  walk(): Reader {
    return new Reader().begin(this.at, <u32>(this.end - this.at));
  }

  /** The id plus one. */
  find(name: string): u32 {
    const wanted = String.UTF8.encode(name);
    const r = this.walk();
    for (let i: u32 = 0; i < this.length; i++) {
      r.name();
      if (equal(r.text, r.length, wanted)) return i + 1;
    }
    return 0;
  }
}

/** What there is instead of something that was not found, a dozen names at most. */
class Offer {
  private text: Text = new Text();
  private names: u32 = 0;

  constructor(what: string, name: string) {
    this.text.text("there is no ").text(what).text(" ").text(name).text("; ");
  }

  add(at: usize, length: u32): void {
    if (this.names > 12) return;
    this.text.text(this.names ? ", " : "there is ");
    if (this.names < 12) this.text.bytes(at, length);
    else this.text.text("...");
    this.names++;
  }

  fail(hint: string): void {
    if (!this.names) this.text.text("there is none at all");
    Failure.set("policy.not-found", this.text.text(": ").text(hint));
  }
}

/**
 * Tells Policy.initialize what there is. A look-up that finds nothing is remembered and fails the initialisation with a message that
 * lists what there would be, so results need no check.
 */
export class Setup {
  static current: Setup = new Setup();

  /** The policy's own name and version, what it decides for, and where. */
  policy: string = "";
  version: string = "";
  asset: string = "";
  scope: string = "";
  layer: string = "";

  knobsAt: usize = 0;
  knobsEnd: usize = 0;
  knobsLength: u32 = 0;
  context: usize = 0;
  contextLength: u32 = 0;
  private metricsAt: usize = 0;
  private metricsEnd: usize = 0;
  private metricsLength: u32 = 0;
  private mechanisms: Names = new Names();
  private features: Names = new Names();
  private parameterNames: Names = new Names();
  private parameters: usize = 0;
  private parametersLength: u32 = 0;

  /** Reads an init message, all of which is checked here; look-ups walk it again. */
  read(r: Reader): bool {
    const k = new Keys(r);
    while (k.next()) this.field(k, r);
    if (this.parameterNames.length != this.parametersLength) r.fail();
    return r.finish();
  }

  private field(k: Keys, r: Reader): void {
    if (k.is("asset")) this.asset = this.text(r);
    else if (k.is("knobs")) this.readKnobs(r);
    else if (k.is("layer")) this.layer = this.text(r);
    else if (k.is("scope")) this.scope = this.text(r);
    else if (k.is("policy")) this.policy = this.text(r);
    else if (k.is("context")) {
      r.raw(BYTES, MAX_CONTEXT);
      this.context = r.text;
      this.contextLength = r.length;
    } else if (k.is("metrics")) this.readMetrics(r);
    else if (k.is("version")) this.version = this.text(r);
    else if (k.is("features")) this.features.read(r, 64);
    else if (k.is("mechanisms")) this.mechanisms.read(r, 64);
    else if (k.is("parameters")) {
      this.parametersLength = r.column64(256);
      this.parameters = r.text;
    } else if (k.is("context_schema")) r.uint32();
    else if (k.is("parameter_names")) this.parameterNames.read(r, 256);
    else r.skip();
  }

  private text(r: Reader): string {
    r.name();
    return String.UTF8.decodeUnsafe(r.text, r.length);
  }

  private readKnobs(r: Reader): void {
    const k = new Knob();
    this.knobsLength = r.list(4096);
    this.knobsAt = r.at;
    for (let i: u32 = 0; i < this.knobsLength && !r.bad; i++) k.read(r);
    this.knobsEnd = r.at;
  }

  private readMetrics(r: Reader): void {
    const m = new MetricInfo();
    this.metricsLength = r.list(4096);
    this.metricsAt = r.at;
    for (let i: u32 = 0; i < this.metricsLength && !r.bad; i++) m.read(r);
    this.metricsEnd = r.at;
  }

  /** Whether the host offers an optional feature. */
  has(feature: string): bool {
    return this.features.find(feature) != 0;
  }

  /** Finds a metric of policy.yaml; with a label and its value when several have the name. */
  metric(name: string, label: string = "", value: string = ""): Metric {
    const wanted = String.UTF8.encode(name);
    const offer = new Offer("metric", name);
    const r = new Reader().begin(this.metricsAt, <u32>(this.metricsEnd - this.metricsAt));
    const m = new MetricInfo();
    for (let i: u32 = 0; i < this.metricsLength; i++) {
      m.read(r);
      if (equal(m.name, m.nameLength, wanted) && (!label.length || m.hasLabel(label, value))) return new Metric(i + 1);
      offer.add(m.name, m.nameLength);
    }
    offer.fail("list it under metrics in policy.yaml");
    return new Metric();
  }

  private missing(what: string, name: string, have: Names, hint: string): void {
    const offer = new Offer(what, name);
    const r = have.walk();
    for (let i: u32 = 0; i < have.length; i++) {
      r.name();
      offer.add(r.text, r.length);
    }
    offer.fail(hint);
  }

  /** Finds a granted mechanism. */
  mechanism(name: string): Mechanism {
    const number = this.mechanisms.find(name);
    if (!number) this.missing("mechanism", name, this.mechanisms, "list it under mechanisms in policy.yaml, and have it granted");
    return new Mechanism(number);
  }

  private missingKnob(mechanism: u32, name: string, hint: string): void {
    const offer = new Offer("knob", name);
    for (const c = new Knobs(mechanism).each(); c.next(); ) {
      const have = String.UTF8.encode(c.knob.name);
      offer.add(changetype<usize>(have), have.byteLength);
    }
    offer.fail(hint);
  }

  /** Finds one granted knob by its exact name. */
  knob(mechanism: string, name: string): Knob {
    const id = this.mechanisms.find(mechanism);
    const wanted = String.UTF8.encode(name);
    for (const c = new Knobs(id).each(); c.next(); ) if (c.knob.isNamed(wanted)) return c.knob;
    this.missingKnob(id, name, "grant it, or ask by pattern with knobs");
    return new Knob();
  }

  /**
   * Finds the granted knobs that match a pattern, in which * stands for any text without a slash and ? for one byte. There is at least
   * one, or the initialisation fails.
   */
  knobs(mechanism: string, pattern: string): Knobs {
    const found = new Knobs(this.mechanisms.find(mechanism), String.UTF8.encode(pattern));
    if (!found.each().next()) this.missingKnob(found.mechanism, pattern, "grant some, or change the pattern");
    return found;
  }

  /** The value of a parameter of policy.yaml: the operator's, or the default. */
  parameter(name: string): f64 {
    const number = this.parameterNames.find(name);
    if (number) return load<f64>(this.parameters + 8 * (number - 1));
    this.missing("parameter", name, this.parameterNames, "list it under parameters in policy.yaml");
    return 0;
  }
}

class MetricInfo {
  name: usize = 0;
  nameLength: u32 = 0;
  private labels: usize = 0;
  private labelsEnd: usize = 0;
  private labelsLength: u32 = 0;

  read(r: Reader): void {
    this.nameLength = this.labelsLength = 0;
    const k = new Keys(r);
    while (k.next()) {
      if (k.is("name")) {
        r.name();
        this.name = r.text;
        this.nameLength = r.length;
      } else if (k.is("labels")) {
        this.labelsLength = r.list(32);
        this.labels = r.at;
        for (let i: u32 = 0; i < this.labelsLength; i++) {
          r.exactly(2);
          r.name();
          r.name();
        }
        this.labelsEnd = r.at;
      } else r.skip();
    }
  }

  hasLabel(name: string, value: string): bool {
    const r = new Reader().begin(this.labels, <u32>(this.labelsEnd - this.labels));
    const n = String.UTF8.encode(name);
    const v = String.UTF8.encode(value);
    for (let i: u32 = 0; i < this.labelsLength; i++) {
      r.exactly(2);
      r.name();
      const found = equal(r.text, r.length, n);
      r.name();
      if (found && equal(r.text, r.length, v)) return true;
    }
    return false;
  }
}
