// Reads and writes CBOR in the one form that the ABI has (wasmabi/schema.cddl).

export const UINT: u8 = 0 << 5;
export const INT: u8 = 1 << 5;
export const BYTES: u8 = 2 << 5;
export const TEXT: u8 = 3 << 5;
export const ARRAY: u8 = 4 << 5;
export const MAP: u8 = 5 << 5;
export const TAG: u8 = 6 << 5;
const OTHER: u8 = 7 << 5;
export const FALSE: u8 = 0xf4;
export const TRUE: u8 = 0xf5;
const FLOAT16: u8 = 0xf9;
const FLOAT32: u8 = 0xfa;
const FLOAT64: u8 = 0xfb;

const CANONICAL_NAN: u64 = 0x7ff8000000000000;
const MAX_NAME: u32 = 256;
const MAX_KEY: u32 = 64;
const MAX_DEPTH: u32 = 8;
export const MAX_CONTEXT: u32 = 65536;
export const MAX_WHY: u32 = 4096;


/** Whether bytes are the text. */
export function same(at: usize, length: u32, text: string): bool {
  if (length != <u32>text.length) return false; // of our own keys, which are ASCII
  for (let i: u32 = 0; i < length; i++) {
    if (<i32>load<u8>(at + i) != text.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether bytes are others. */
export function equal(at: usize, length: u32, other: ArrayBuffer): bool {
  return length == <u32>other.byteLength && memory.compare(at, changetype<usize>(other), length) == 0;
}

/** The order of encoded keys: a shorter one comes first. */
export function before(a: usize, aLength: u32, b: usize, bLength: u32): bool {
  if (aLength != bLength) return aLength < bLength;
  return memory.compare(a, b, aLength) < 0;
}

/** Whether the bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
export function isUTF8(at: usize, length: u32): bool {
  const end = at + length;
  while (at < end) {
    const first = load<u8>(at++);
    let low: u8 = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    let high: u8 = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    let more: usize = first < 0x80 ? 0 : first < 0xc2 ? 9 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 9;
    if (more > end - at) return false;
    for (; more; more--) {
      const next = load<u8>(at++);
      if (next < low || next > high) return false;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

/** Walks one message. The first failure sticks and moves it to the end, so that a decoder asks once. */
export class Reader {
  at: usize = 0;
  end: usize = 0;
  bad: bool = false;
  // What raw, text and name read last.
  text: usize = 0;
  length: u32 = 0;

  /** Starts again, at other bytes. */
  begin(at: usize, length: u32): Reader {
    this.at = at;
    this.end = at + length;
    this.bad = false;
    return this;
  }

  get left(): u32 {
    return <u32>(this.end - this.at);
  }

  fail(): void {
    this.bad = true;
    this.at = this.end;
    this.length = 0;
  }

  finish(): bool {
    return !this.bad && this.at == this.end;
  }

  peek(): u8 {
    return this.at < this.end ? load<u8>(this.at) : OTHER;
  }

  private big(from: usize, size: u32): u64 {
    let v: u64 = 0;
    for (let i: u32 = 0; i < size; i++) v = (v << 8) | load<u8>(from + i);
    return v;
  }

  // The value of the head that was read last.
  value: u64 = 0;

  /** Reads any head, returns its major type and refuses one that could be shorter. */
  head(): u8 {
    this.value = 0;
    if (this.at == this.end) {
      this.fail();
      return OTHER;
    }
    const first = load<u8>(this.at);
    const major: u8 = first & 0xe0;
    const info: u8 = first & 0x1f;
    if (info < 24) {
      this.at++;
      this.value = info;
      return major;
    }
    const size: u32 = 1 << (info - 24);
    if (info > 27 || this.left <= size) {
      this.fail();
      return major;
    }
    const v = this.big(this.at + 1, size);
    if (v < (size == 1 ? 24 : <u64>1 << (size * 4))) {
      this.fail();
      return major;
    }
    this.at += 1 + size;
    this.value = v;
    return major;
  }

  expect(major: u8): u64 {
    if (this.head() != major) this.fail();
    return this.bad ? 0 : this.value;
  }

  uint32(): u32 {
    const v = this.expect(UINT);
    if (v <= u32.MAX_VALUE) return <u32>v;
    this.fail();
    return 0;
  }

  int64(): i64 {
    const major = this.head();
    if ((major != UINT && major != INT) || this.value > <u64>i64.MAX_VALUE) {
      this.fail();
      return 0;
    }
    return major == INT ? -1 - <i64>this.value : <i64>this.value;
  }

  /** Reads a float of any width, and refuses one that could be shorter, and NaN. */
  float(): f64 {
    const head = this.peek();
    const size: u32 = head >= FLOAT16 && head <= FLOAT64 ? 2 << (head - FLOAT16) : 0;
    if (!size || this.left <= size) {
      this.fail();
      return 0;
    }
    const bits = this.big(this.at + 1, size);
    let v: f64;
    let longer = false;
    if (size == 2) {
      v = fromHalf(<u32>bits);
    } else if (size == 4) {
      v = <f64>reinterpret<f32>(<u32>bits);
      longer = toHalf(v) >= 0;
    } else {
      v = reinterpret<f64>(bits);
      longer = <f64><f32>v == v;
    }
    if (isNaN(v) || longer) this.fail();
    else this.at += 1 + size;
    return v;
  }

  /** Reads the content of a text or byte string, which stays where it is: see text and length. */
  raw(major: u8, most: u32): void {
    const n = this.expect(major);
    if (n > this.left || n > most || (major == TEXT && !isUTF8(this.at, <u32>n))) {
      this.fail();
      return;
    }
    this.text = this.at;
    this.length = <u32>n;
    this.at += <usize>n;
  }

  name(): void {
    this.raw(TEXT, MAX_NAME);
  }

  /** Reads a typed array of RFC 8746, whose elements stay where they are, and returns how many there are. */
  private column(tag: u8, width: u32, most: u32): u32 {
    if (this.left < 3 || load<u8>(this.at) != (TAG | 24) || load<u8>(this.at + 1) != tag) {
      this.fail();
      return 0;
    }
    this.at += 2;
    this.raw(BYTES, most * width);
    if (this.length % width) this.fail();
    return this.length / width;
  }

  column32(most: u32): u32 {
    return this.column(70, 4, most);
  }

  /** As column32; the only NaN is 0x7ff8000000000000. */
  column64(most: u32): u32 {
    const n = this.column(86, 8, most);
    for (let i: u32 = 0; i < n; i++) {
      const v = load<f64>(this.text + 8 * i);
      if (isNaN(v) && reinterpret<u64>(v) != CANONICAL_NAN) {
        this.fail();
        return 0;
      }
    }
    return n;
  }

  exactly(n: u64): void {
    if (this.expect(ARRAY) != n) this.fail();
  }

  list(most: u32): u32 {
    const n = this.expect(ARRAY);
    if (n <= most && n <= this.left) return <u32>n;
    this.fail();
    return 0;
  }

  /** Passes over one value of any kind. */
  skip(depth: u32 = 0): void {
    if (depth == MAX_DEPTH) {
      this.fail();
      return;
    }
    const first = this.peek();
    if (first >= FLOAT16 && first <= FLOAT64) {
      const size: u32 = 1 + (2 << (first - FLOAT16));
      if (this.left < size) this.fail();
      else this.at += size;
      return;
    }
    const major = this.head();
    let n = this.value;
    if (major == BYTES || major == TEXT) {
      if (n > this.left) this.fail();
      else this.at += <usize>n;
    } else if (major == TAG) {
      this.skip(depth + 1);
    } else if (major == ARRAY || major == MAP) {
      for (; n && !this.bad; n--) {
        if (major == MAP) this.skip(depth + 1);
        this.skip(depth + 1);
      }
    }
  }

  /** Passes over one value of a context, and refuses what is none. */
  skipValue(): void {
    const first = this.peek();
    const major: u8 = first & 0xe0;
    if (major == UINT || major == INT) this.int64();
    else if (major == TEXT || major == BYTES) this.raw(major, MAX_CONTEXT);
    else if (major == TAG) this.column64(MAX_CONTEXT / 8);
    else if (this.at < this.end && (first == FALSE || first == TRUE)) this.at++;
    else if (this.isNaN()) this.at += 3;
    else this.float();
  }

  /** Whether the value is the NaN of a context. */
  isNaN(): bool {
    return this.left >= 3 && load<u8>(this.at) == FLOAT16 && load<u8>(this.at + 1) == 0x7e && load<u8>(this.at + 2) == 0;
  }
}

/** Walks a map, and refuses keys that are out of order or repeated. */
export class Keys {
  private left: u64 = 0;
  private key: usize = 0;
  private length: u32 = 0;

  constructor(private r: Reader) {
    this.left = r.expect(MAP);
    if (this.left > r.left / 2) {
      r.fail();
      this.left = 0;
    }
  }

  get count(): u64 {
    return this.left;
  }

  next(): bool {
    const r = this.r;
    if (!this.left || r.bad) return false;
    this.left--;
    r.raw(TEXT, MAX_KEY);
    if (!r.length || (this.length && !before(this.key, this.length, r.text, r.length))) r.fail();
    this.key = r.text;
    this.length = r.length;
    return !r.bad;
  }

  is(key: string): bool {
    return same(this.key, this.length, key);
  }

  get bytes(): ArrayBuffer {
    return copied(this.key, this.length);
  }
}

/** A copy of bytes. */
export function copied(at: usize, length: u32): ArrayBuffer {
  const b = new ArrayBuffer(length);
  memory.copy(changetype<usize>(b), at, length);
  return b;
}

/** Writes to memory of a fixed size; what does not fit is left out and remembered. */
export class Writer {
  length: u32 = 0;
  full: bool = false;

  constructor(private to: usize, private capacity: u32) {}

  byte(b: u8): void {
    if (this.length < this.capacity) store<u8>(this.to + this.length++, b);
    else this.full = true;
  }

  put(from: usize, length: u32): void {
    if (length > this.capacity - this.length) {
      this.full = true;
      return;
    }
    memory.copy(this.to + this.length, from, length);
    this.length += length;
  }

  private big(v: u64, size: u32): void {
    while (size--) this.byte(<u8>(v >> (8 * size)));
  }

  head(major: u8, v: u64): void {
    if (v < 24) {
      this.byte(major | <u8>v);
      return;
    }
    const step: u8 = v < 1 << 8 ? 0 : v < 1 << 16 ? 1 : v < <u64>1 << 32 ? 2 : 3;
    this.byte(major | (24 + step));
    this.big(v, 1 << step);
  }

  int(v: i64): void {
    if (v < 0) this.head(INT, ~v);
    else this.head(UINT, v);
  }

  bytes(b: ArrayBuffer): void {
    this.put(changetype<usize>(b), b.byteLength);
  }

  text(at: usize, length: u32): void {
    this.head(TEXT, length);
    this.put(at, length);
  }

  string(s: string): void {
    const b = String.UTF8.encode(s);
    this.text(changetype<usize>(b), b.byteLength);
  }

  /** Writes the shortest of the three floats that keeps the value. */
  float(v: f64): void {
    const half = isNaN(v) ? 0x7e00 : toHalf(v);
    if (half >= 0) {
      this.byte(FLOAT16);
      this.big(half, 2);
    } else if (<f64><f32>v == v) {
      this.byte(FLOAT32);
      this.big(reinterpret<u32>(<f32>v), 4);
    } else {
      this.byte(FLOAT64);
      this.big(reinterpret<u64>(v), 8);
    }
  }

  private columnHead(tag: u8, length: u32): bool {
    this.byte(TAG | 24);
    this.byte(tag);
    this.head(BYTES, length);
    if (length <= this.capacity - this.length) return true;
    this.full = true;
    return false;
  }

  column32(v: Array<u32>): void {
    if (!this.columnHead(70, 4 * v.length)) return;
    for (let i = 0; i < v.length; i++) {
      store<u32>(this.to + this.length, unchecked(v[i]));
      this.length += 4;
    }
  }

  column64(v: Array<f64>): void {
    if (!this.columnHead(86, 8 * v.length)) return;
    for (let i = 0; i < v.length; i++) {
      const x = unchecked(v[i]);
      store<u64>(this.to + this.length, isNaN(x) ? CANONICAL_NAN : reinterpret<u64>(x));
      this.length += 8;
    }
  }
}

/** The value of a binary16. */
function fromHalf(h: u32): f64 {
  const exponent = (h >> 10) & 0x1f;
  const fraction = <u64>(h & 0x3ff);
  let v: f64;
  if (exponent == 0) v = <f64>fraction / 16777216;
  else if (exponent == 31) v = reinterpret<f64>((<u64>0x7ff << 52) | (fraction << 42));
  else v = reinterpret<f64>((<u64>(exponent + 1008) << 52) | (fraction << 42));
  return h >> 15 ? -v : v;
}

/** The binary16 of the same value, or -1. NaN has none here: it has its own rule. */
function toHalf(v: f64): i32 {
  const bits = reinterpret<u64>(v);
  let fraction = bits & 0xfffffffffffff;
  const exponent = <i32>((bits >> 52) & 0x7ff) - 1023;
  const sign = <i32>(bits >> 48) & 0x8000;
  let shift: u64 = 42;
  let half = 0;
  if (v == 0) return sign;
  if (exponent == 1024) return fraction ? -1 : sign | 0x7c00;
  if (exponent > 15 || exponent < -24) return -1;
  if (exponent < -14) {
    fraction |= <u64>1 << 52;
    shift = 28 - exponent;
  } else {
    half = (exponent + 15) << 10;
  }
  if (fraction & ((<u64>1 << shift) - 1)) return -1;
  return sign | half | <i32>(fraction >> shift);
}
