// What lasts from one episode to the next.

import { BYTES, Keys, MAP, MAX_CONTEXT, Reader, TEXT, TRUE, FALSE, Writer, before, copied, equal, isUTF8 } from "./cbor";
import { Failure } from "./host";
import { say } from "./text";
import { NEVER } from "./time";

const MAX_ENTRIES = 1024;
const SCRATCH: usize = memory.data(65536 + 16, 8);

class Entry {
  constructor(
    public key: ArrayBuffer,
    public value: ArrayBuffer, // encoded
  ) {}
}

/**
 * What lasts from one episode to the next: values by key. Keys are at most 64 bytes, everything together at most 64 KiB. A value that is
 * not there, or is of another type, reads as zero.
 */
export class State {
  private entries: Array<Entry> = [];

  /** Reads a context. No bytes at all are no entries. */
  read(at: usize, length: u32): bool {
    this.entries = [];
    if (!length) return true;
    const r = new Reader().begin(at, length);
    const k = new Keys(r);
    if (k.count > <u64>MAX_ENTRIES) r.fail();
    while (k.next()) {
      const from = r.at;
      r.skipValue();
      this.entries.push(new Entry(k.bytes, copied(from, <u32>(r.at - from))));
    }
    if (r.finish()) return true;
    Failure.set("policy.context", say("the saved state can not be decoded"));
    return false;
  }

  /** Writes the entries in the order of their keys. */
  write(w: Writer): void {
    const all = this.entries;
    for (let i = 1; i < all.length; i++) {
      for (let j = i; j && less(all[j].key, all[j - 1].key); j--) {
        const swap = all[j];
        all[j] = all[j - 1];
        all[j - 1] = swap;
      }
    }
    let well = all.length <= MAX_ENTRIES;
    w.head(MAP, all.length);
    for (let i = 0; i < all.length; i++) {
      const key = all[i].key;
      well = well && key.byteLength > 0 && key.byteLength <= 64 && isUTF8(changetype<usize>(key), key.byteLength);
      w.head(TEXT, key.byteLength);
      w.bytes(key);
      w.bytes(all[i].value);
    }
    if (well && !w.full && w.length <= MAX_CONTEXT) return;
    Failure.set("policy.context", say("the saved state is larger than 64 KiB, or a key is empty or longer than 64 bytes"));
  }

  private find(key: string): i32 {
    const wanted = String.UTF8.encode(key);
    for (let i = 0; i < this.entries.length; i++) {
      const k = this.entries[i].key;
      if (equal(changetype<usize>(k), k.byteLength, wanted)) return i;
    }
    return -1;
  }

  private get(key: string): Reader {
    const i = this.find(key);
    const r = new Reader();
    if (i < 0) return r;
    const value = this.entries[i].value;
    return r.begin(changetype<usize>(value), value.byteLength);
  }

  private put(key: string, w: Writer): void {
    const value = w.full ? new ArrayBuffer(MAX_CONTEXT + 1) : copied(SCRATCH, w.length); // too much of it fails in write
    const i = this.find(key);
    if (i >= 0) this.entries[i].value = value;
    else this.entries.push(new Entry(String.UTF8.encode(key), value));
  }

  private scratch(): Writer {
    return new Writer(SCRATCH, 65536 + 16);
  }

  /** Whether there is a value. */
  has(key: string): bool {
    return this.find(key) >= 0;
  }

  /** Gets what putInt put. */
  int(key: string): i64 {
    return this.get(key).int64();
  }

  /** Gets what putFloat put. */
  float(key: string): f64 {
    const r = this.get(key);
    if (r.isNaN()) return NaN;
    const v = r.float();
    return r.bad ? 0 : v;
  }

  /** Gets what putBool put. */
  bool(key: string): bool {
    return this.get(key).peek() == TRUE;
  }

  /** Gets what putText put. */
  text(key: string): string {
    const r = this.get(key);
    r.raw(TEXT, MAX_CONTEXT);
    return r.bad ? "" : String.UTF8.decodeUnsafe(r.text, r.length);
  }

  /** Gets what putBytes put. */
  bytes(key: string): ArrayBuffer {
    const r = this.get(key);
    r.raw(BYTES, MAX_CONTEXT);
    return r.bad ? new ArrayBuffer(0) : copied(r.text, r.length);
  }

  /** Gets what putFloats put. */
  floats(key: string): Array<f64> {
    const r = this.get(key);
    const n = r.column64(MAX_CONTEXT / 8);
    const values: Array<f64> = [];
    for (let i: u32 = 0; i < n; i++) values.push(load<f64>(r.text + 8 * i));
    return values;
  }

  /** Gets what putTime put; NEVER when there is nothing. */
  time(key: string): i64 {
    const r = this.get(key);
    const v = r.int64();
    return r.bad ? NEVER : v;
  }

  /** Puts a whole number. */
  putInt(key: string, v: i64): void {
    const w = this.scratch();
    w.int(v);
    this.put(key, w);
  }

  /** Puts a number. */
  putFloat(key: string, v: f64): void {
    const w = this.scratch();
    w.float(v);
    this.put(key, w);
  }

  /** Puts true or false. */
  putBool(key: string, v: bool): void {
    const w = this.scratch();
    w.byte(v ? TRUE : FALSE);
    this.put(key, w);
  }

  /** Puts a text. */
  putText(key: string, v: string): void {
    const w = this.scratch();
    w.string(v);
    this.put(key, w);
  }

  /** Puts bytes. */
  putBytes(key: string, v: ArrayBuffer): void {
    const w = this.scratch();
    w.head(BYTES, v.byteLength);
    w.bytes(v);
    this.put(key, w);
  }

  /** Puts a list of numbers. */
  putFloats(key: string, v: Array<f64>): void {
    const w = this.scratch();
    w.column64(v);
    this.put(key, w);
  }

  /** Puts a moment; NEVER takes the key away. */
  putTime(key: string, v: i64): void {
    if (v == NEVER) this.delete(key);
    else this.putInt(key, v);
  }

  /** Takes a key away. */
  delete(key: string): void {
    const i = this.find(key);
    if (i >= 0) this.entries.splice(i, 1);
  }
}

function less(a: ArrayBuffer, b: ArrayBuffer): bool {
  return before(changetype<usize>(a), a.byteLength, changetype<usize>(b), b.byteLength);
}
