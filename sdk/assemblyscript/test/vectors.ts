// The module that vectors.mjs tests: it tells what it decodes, and encodes what it is told, in the words of
// wasmabi/testdata/vectors/flat.txt.

import { Reader, Writer } from "../assembly/cbor";
import { Observation } from "../assembly/observation";
import { Plan } from "../assembly/plan";
import { Migration } from "../assembly/policy";
import { Metric } from "../assembly/setup";
import { Text } from "../assembly/text";
import { MILLISECOND } from "../assembly/time";
import { Verdict } from "../assembly/verdict";

const INPUT: usize = memory.data(65536, 16);
const OUTPUT: usize = memory.data(65536, 16);

export function input(): usize {
  return INPUT;
}

export function output(): usize {
  return OUTPUT;
}

let told = "";

function hex(v: u64, digits: u32): string {
  let s = "";
  while (digits--) s += "0123456789abcdef".charAt(<i32>((v >> (4 * digits)) & 15));
  return s;
}

function tell(s: string): void {
  told += told.length ? " " + s : s;
}

function tellBytes(at: usize, length: u32): void {
  let s = "s";
  for (let i: u32 = 0; i < length; i++) s += hex(load<u8>(at + i), 2);
  tell(s);
}

function tellNumbers(at: usize, n: u32): void {
  tell(n.toString());
  for (let i: u32 = 0; i < n; i++) tell(load<u32>(at + 4 * i).toString());
}

function tellFloats(at: usize, n: u32): void {
  tell(n.toString());
  for (let i: u32 = 0; i < n; i++) tell(hex(load<u64>(at + 8 * i), 16));
}

function finish(well: bool): i32 {
  if (!well) told = "refused";
  const b = String.UTF8.encode(told);
  memory.copy(OUTPUT, changetype<usize>(b), b.byteLength);
  return b.byteLength;
}

/** Decodes that many bytes of the input and returns the length of what it tells. */
export function observation(length: u32): i32 {
  told = "";
  const o = new Observation();
  if (!o.read(new Reader().begin(INPUT, length))) return finish(false);
  tell(o.seq.toString());
  tell(o.time.toString());
  tell(o.trigger.toString());
  tellNumbers(o.ids, o.length);
  tellFloats(o.values, o.length);
  tellNumbers(o.ages, o.length);
  tellNumbers(o.knobIds, o.knobsLength);
  tellFloats(o.knobValues, o.knobsLength);
  return finish(true);
}

export function migrate(length: u32): i32 {
  told = "";
  const m = new Migration();
  if (!m.read(new Reader().begin(INPUT, length))) return finish(false);
  tell(m.from.toString());
  tellBytes(m.context, m.contextLength);
  return finish(true);
}

let words: string[] = [];
let next = 0;

function begin(length: u32): void {
  words = String.UTF8.decodeUnsafe(INPUT, length).split(" ");
  next = 0;
}

function number(): u64 {
  return U64.parseInt(words[next++]);
}

function float(): f64 {
  return reinterpret<f64>(U64.parseInt(words[next++], 16));
}

function text(): Text {
  const t = new Text();
  const s = words[next++];
  for (let i = 1; i < s.length; i += 2) {
    store<u8>(OUTPUT, <u8>U64.parseInt(s.substr(i, 2), 16));
    t.bytes(OUTPUT, 1);
  }
  return t;
}

function numbers(): u64[] {
  const all: u64[] = [];
  for (let n = number(); n; n--) all.push(number());
  return all;
}

function floats(): f64[] {
  const all: f64[] = [];
  for (let n = number(); n; n--) all.push(float());
  return all;
}

/** Encodes what the input tells, into so much room, and returns the length, or -1 when it does not fit. */
export function analysis(length: u32, room: u32): i32 {
  begin(length);
  const seq = number();
  const acts = number() == 1;
  const after = <i64>number() * MILLISECOND;
  const v = new Verdict(acts, text()).next(after);
  const ids = numbers();
  const above = floats();
  const below = floats();
  for (let i = 0; i < ids.length; i++) v.wake(new Metric(<u32>ids[i] + 1), above[i], below[i]);
  const w = new Writer(OUTPUT, room);
  v.write(seq, w);
  return w.full ? -1 : <i32>w.length;
}

export function plan(length: u32, room: u32): i32 {
  begin(length);
  const p = new Plan();
  const seq = number();
  p.why = text();
  const mechanisms = numbers();
  const verbs = numbers();
  const knobs = numbers();
  const values = floats();
  const leases = numbers();
  for (let i = 0; i < knobs.length; i++) {
    p.add(<u32>mechanisms[i], <u32>verbs[i], <u32>knobs[i], values[i]);
    if (leases[i]) p.lease(i, <i64>leases[i] * MILLISECOND);
  }
  const w = new Writer(OUTPUT, room);
  p.write(seq, w);
  return w.full ? -1 : <i32>w.length;
}
