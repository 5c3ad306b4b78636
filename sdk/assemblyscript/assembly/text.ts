// Texts for people, which read as those of the other languages do, digit for digit.

import { MAX_WHY } from "./cbor";

/** A text in parts: say("load ").number(load).text(" is above 2"). It is cut off at 4096 bytes, on a whole character. */
export class Text {
  private buffer: ArrayBuffer = new ArrayBuffer(256);
  private size: u32 = 0; // MAX_WHY + 1 at most: one more says whether to cut

  /** Where the bytes are. */
  get at(): usize {
    return changetype<usize>(this.buffer);
  }

  /** How many bytes count. */
  get length(): u32 {
    let n = this.size;
    if (n > MAX_WHY) {
      n = MAX_WHY;
      while (n && (load<u8>(this.at + n) & 0xc0) == 0x80) n--;
    }
    return n;
  }

  private byte(b: u8): void {
    if (this.size > MAX_WHY) return;
    if (this.size == <u32>this.buffer.byteLength) {
      const larger = new ArrayBuffer(this.buffer.byteLength * 2);
      memory.copy(changetype<usize>(larger), this.at, this.size);
      this.buffer = larger;
    }
    store<u8>(this.at + this.size++, b);
  }

  /** A text. */
  text(s: string): Text {
    for (let i = 0; i < s.length; i++) {
      let c: u32 = s.charCodeAt(i);
      if (c < 0x80) {
        this.byte(<u8>c);
        continue;
      }
      if (c < 0x800) {
        this.byte(<u8>(0xc0 | (c >> 6)));
      } else {
        if (c >= 0xd800 && c < 0xe000) c = <u32>s.codePointAt(i);
        if (c > 0xffff) {
          i++;
          this.byte(<u8>(0xf0 | (c >> 18)));
          this.byte(<u8>(0x80 | ((c >> 12) & 0x3f)));
        } else {
          if (c >= 0xd800 && c < 0xe000) c = 0xfffd; // half of a character
          this.byte(<u8>(0xe0 | (c >> 12)));
        }
        this.byte(<u8>(0x80 | ((c >> 6) & 0x3f)));
      }
      this.byte(<u8>(0x80 | (c & 0x3f)));
    }
    return this;
  }

  /** A text that is UTF-8 already. */
  bytes(at: usize, length: u32): Text {
    for (let i: u32 = 0; i < length; i++) this.byte(load<u8>(at + i));
    return this;
  }

  /** Writes v with at least that many digits. */
  private digits(v: u64, least: u32): void {
    let unit: u64 = 1;
    for (let n: u32 = 1; n < least || v / unit >= 10; n++) unit *= 10;
    for (; unit; unit /= 10) this.byte(<u8>(0x30 + ((v / unit) % 10)));
  }

  /** Writes v / 10^decimals without zeros at the end. */
  private fraction(v: u64, decimals: u32): void {
    let unit: u64 = 1;
    for (let i: u32 = 0; i < decimals; i++) unit *= 10;
    this.digits(v / unit, 1);
    for (v %= unit; decimals && v % 10 == 0; decimals--) v /= 10;
    if (!decimals) return;
    this.text(".");
    this.digits(v, decimals);
  }

  /** A whole number. */
  whole(v: i64): Text {
    if (v < 0) this.text("-");
    this.digits(v < 0 ? 0 - <u64>v : <u64>v, 1);
    return this;
  }

  /** A number, with about four digits and no exponent when people say it. */
  number(v: f64): Text {
    if (isNaN(v)) return this.text("NaN");
    const bits = reinterpret<u64>(v);
    const size = Math.abs(v);
    if (size == Infinity) return this.text(v < 0 ? "-Inf" : "+Inf");
    if (bits >> 63) this.text("-");
    if (v == 0) return this.text("0");
    let significand = bits & 0xfffffffffffff;
    let exponent = <i32>((bits >> 52) & 0x7ff);
    if (exponent) significand |= <u64>1 << 52;
    else exponent = 1;
    exponent -= 1075;
    if (size >= 1e15 || size < 1e-3) return this.general(significand, exponent);
    // size x 10^decimals is significand x 5^decimals x 2^(exponent + decimals), which is exact in 64 bits.
    const decimals: u32 = size >= 1000 ? 1 : size >= 1 ? 3 : 4;
    const scaled = significand * (decimals == 1 ? 5 : decimals == 3 ? 125 : 625);
    const shift: u64 = -exponent - <i32>decimals;
    const rest = scaled & ((<u64>1 << shift) - 1);
    const half: u64 = <u64>1 << (shift - 1);
    let digits = scaled >> shift;
    if (rest > half || (rest == half && digits % 2)) digits++;
    this.fraction(digits, decimals);
    return this;
  }

  /** As C's %.4g without zeros at the end. */
  private general(significand: u64, exponent: i32): Text {
    let digits = significant(significand, exponent);
    const scale = ten + 3;
    if (scale >= -4 && scale < 0) {
      let decimals = 3 - scale;
      for (; digits % 10 == 0; decimals--) digits /= 10;
      this.text("0.");
      this.digits(digits, decimals);
      return this;
    }
    this.fraction(digits, 3);
    this.text(scale < 0 ? "e-" : "e+");
    this.digits(abs(scale), 2);
    return this;
  }

  /** A duration in nanoseconds: 1m30s. */
  duration(d: i64): Text {
    if (d < 0) this.text("-");
    const v: u64 = d < 0 ? 0 - <u64>d : <u64>d;
    if (v == 0) return this.text("0s");
    if (v < 1_000) {
      this.digits(v, 1);
      return this.text("ns");
    }
    if (v < 1_000_000) {
      this.fraction(v, 3);
      return this.text("\u00b5s");
    }
    if (v < 1_000_000_000) {
      this.fraction(v, 6);
      return this.text("ms");
    }
    const minutes = v / 60_000_000_000;
    if (minutes >= 60) {
      this.digits(minutes / 60, 1);
      this.text("h");
    }
    if (minutes) {
      this.digits(minutes % 60, 1);
      this.text("m");
    }
    this.fraction(v % 60_000_000_000, 9);
    return this.text("s");
  }

  /** A number with its unit: 3.5e9 with "Hz" reads 3.5 GHz. */
  quantity(v: f64, unit: string): Text {
    if (!unit.length || unit == "ratio") return this.number(v);
    const size = Math.abs(v);
    const scales = unit == "Hz" || unit == "B" || unit == "W" || unit == "J" || unit == "bit/s" || unit == "B/s";
    if (scales && size >= 1e12) this.number(v / 1e12).text(" T");
    else if (scales && size >= 1e9) this.number(v / 1e9).text(" G");
    else if (scales && size >= 1e6) this.number(v / 1e6).text(" M");
    else if (scales && size >= 1e3) this.number(v / 1e3).text(" k");
    else this.number(v).text(" ");
    return this.text(unit);
  }
}

/** Begins a text. */
export function say(s: string): Text {
  return new Text().text(s);
}

let ten: i32 = 0; // of the last call of significant

/**
 * The four most significant decimal digits of significand x 2^exponent, rounded to even, exactly: digits x 10^ten. It serves numbers
 * that are very large or very small; limbs have nine decimal digits.
 */
function significant(significand: u64, exponent: i32): u64 {
  const LIMB: u64 = 1_000_000_000;
  const limbs = new StaticArray<u32>(90);
  let used = 0;
  for (; significand; significand /= LIMB) limbs[used++] = <u32>(significand % LIMB);
  for (let power = exponent; power; ) {
    // By 2^29 at a time, or by 5^13 with the decimal point moved along.
    const step = max(-13, min(29, power));
    let factor: u64 = step > 0 ? <u64>1 << step : 1;
    for (let k = step; k < 0; k++) factor *= 5;
    let carry: u64 = 0;
    for (let i = 0; i < used; i++) {
      carry += limbs[i] * factor;
      limbs[i] = <u32>(carry % LIMB);
      carry /= LIMB;
    }
    for (; carry; carry /= LIMB) limbs[used++] = <u32>(carry % LIMB);
    power -= step;
  }
  let digits: u64 = 0;
  let size = 0;
  let half = false;
  let sticky = false;
  for (let i = used - 1; i >= 0; i--) {
    for (let divisor: u32 = 100_000_000; divisor; divisor /= 10) {
      const next = (limbs[i] / divisor) % 10;
      if (!size && !next) continue;
      if (size < 4) {
        digits = digits * 10 + next;
      } else if (size == 4) {
        half = next >= 5;
        sticky = next != 5 && next != 0;
      } else {
        sticky = sticky || next != 0;
      }
      size++;
    }
  }
  ten = size - 4 + min(exponent, 0);
  for (; size < 4; size++) digits *= 10;
  if (half && (sticky || digits % 2)) digits++;
  if (digits == 10_000) {
    digits = 1000;
    ten++;
  }
  return digits;
}
