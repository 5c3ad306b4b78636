//! Texts for people, which read as those of the other languages do, digit for digit. Package core::fmt would be larger than most policies.

use crate::{cbor::copy, setup::KnobInfo, Duration};
use core::num::NonZero;

const MOST: usize = 4096;

/// A text that is cut off at 4096 bytes, on a whole character.
pub struct Text {
    bytes: [u8; MOST + 1], // one more says whether to cut
    length: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Text { bytes: [0; MOST + 1], length: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.length = 0;
    }

    pub(crate) fn set(&mut self, parts: &[&dyn Part]) {
        self.clear();
        for p in parts {
            p.say(self);
        }
    }

    /// The text, cut off on a whole character. What was said is UTF-8, since it came from texts.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.first(MOST)
    }

    /// Takes away what is beyond so many bytes, by whole characters.
    pub(crate) fn cut(&mut self, most: usize) {
        self.length = self.first(most).len();
    }

    fn first(&self, most: usize) -> &[u8] {
        let mut end = self.length;
        if end > most {
            end = most;
            while end > 0 && self.bytes.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
                end -= 1;
            }
        }
        self.bytes.get(..end).unwrap_or(&[])
    }

    fn bytes(&mut self, from: &[u8]) {
        let room = self.bytes.len() - self.length;
        let from = from.get(..room).unwrap_or(from);
        if let Some(to) = self.bytes.get_mut(self.length..self.length + from.len()) {
            copy(to, from);
            self.length += from.len();
        }
    }

    pub(crate) fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Writes v with at least that many digits.
    fn digits(&mut self, mut v: u64, least: usize) {
        let mut digits = [b'0'; 20];
        let mut n = 0;
        for d in digits.iter_mut().rev() {
            if v == 0 && n >= least {
                break;
            }
            *d += (v % 10) as u8;
            v /= 10;
            n += 1;
        }
        self.bytes(digits.get(20 - n..).unwrap_or(&[]));
    }

    fn whole(&mut self, v: i64) {
        if v < 0 {
            self.str("-");
        }
        self.digits(v.unsigned_abs(), 1);
    }

    /// Writes v / 10^decimals without zeros at the end; decimals are 1, 3, 4, 6 or 9.
    fn fraction(&mut self, v: u64, mut decimals: usize) {
        let unit = match decimals {
            1 => const { NonZero::new(10).unwrap() },
            3 => const { NonZero::new(1_000).unwrap() },
            4 => const { NonZero::new(10_000).unwrap() },
            6 => const { NonZero::new(1_000_000).unwrap() },
            _ => const { NonZero::new(1_000_000_000).unwrap() },
        };
        self.digits(v / unit, 1);
        let mut v = v % unit;
        while decimals > 0 && v % 10 == 0 {
            v /= 10;
            decimals -= 1;
        }
        if decimals > 0 {
            self.str(".");
            self.digits(v, decimals);
        }
    }

    /// Writes about four digits, and no exponent for numbers that people say.
    fn number(&mut self, v: f64) {
        let size = v.abs();
        if v.is_nan() {
            return self.str("NaN");
        }
        if v.is_infinite() {
            return self.str(if v < 0.0 { "-Inf" } else { "+Inf" });
        }
        if v.is_sign_negative() {
            self.str("-");
        }
        if v == 0.0 {
            return self.str("0");
        }
        let (significand, exponent) = parts(size);
        if !(1e-3..1e15).contains(&size) {
            return self.general(significand, exponent);
        }
        let (decimals, five) = match size {
            1000.0.. => (1, 5),
            1.0.. => (3, 125),
            _ => (4, 625),
        };
        // size x 10^decimals is significand x 5^decimals x 2^(exponent + decimals), which is exact in 64 bits.
        let scaled = significand * five;
        let shift = (-exponent) as u32 - decimals;
        let (whole, rest, half) = (scaled >> shift, scaled & ((1 << shift) - 1), 1 << (shift - 1));
        let up = rest > half || rest == half && whole % 2 == 1;
        self.fraction(whole + up as u64, decimals as usize);
    }

    /// As C's %.4g without zeros at the end.
    fn general(&mut self, significand: u64, exponent: i32) {
        let (mut digits, ten) = significant(significand, exponent);
        let scale = ten + 3;
        if (-4..0).contains(&scale) {
            let mut decimals = (3 - scale) as usize;
            while digits % 10 == 0 {
                digits /= 10;
                decimals -= 1;
            }
            self.str("0.");
            return self.digits(digits, decimals);
        }
        self.fraction(digits, 3);
        self.str(if scale < 0 { "e-" } else { "e+" });
        self.digits(scale.unsigned_abs() as u64, 2);
    }

    fn duration(&mut self, d: i64) {
        if d < 0 {
            self.str("-");
        }
        let v = d.unsigned_abs();
        match v {
            0 => return self.str("0s"),
            1..1_000 => {
                self.digits(v, 1);
                return self.str("ns");
            }
            1_000..1_000_000 => {
                self.fraction(v, 3);
                return self.str("\u{b5}s");
            }
            1_000_000..1_000_000_000 => {
                self.fraction(v, 6);
                return self.str("ms");
            }
            _ => {}
        }
        let minutes = v / 60_000_000_000;
        if minutes >= 60 {
            self.digits(minutes / 60, 1);
            self.str("h");
        }
        if minutes > 0 {
            self.digits(minutes % 60, 1);
            self.str("m");
        }
        self.fraction(v % 60_000_000_000, 9);
        self.str("s");
    }
}

/// A positive number as significand x 2^exponent.
fn parts(v: f64) -> (u64, i32) {
    let (exponent, fraction) = ((v.to_bits() >> 52 & 0x7ff) as i32, v.to_bits() & ((1 << 52) - 1));
    if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent - 1075)
    }
}

/// The four most significant decimal digits of significand x 2^exponent, rounded to even, exactly: digits x 10^ten. It serves
/// numbers that are very large or very small; limbs have nine decimal digits.
fn significant(mut significand: u64, exponent: i32) -> (u64, i32) {
    const LIMB: u64 = 1_000_000_000;
    let mut limbs = [0u32; 90];
    let mut used = 0;
    for limb in &mut limbs {
        if significand == 0 {
            break;
        }
        *limb = (significand % LIMB) as u32;
        significand /= LIMB;
        used += 1;
    }
    let mut power = exponent;
    while power != 0 {
        // By 2^29 at a time, or by 5^13 with the decimal point moved along.
        let step = power.clamp(-13, 29);
        let factor = if step > 0 { 1 << step } else { 5u64.pow(step.unsigned_abs()) };
        let mut carry = 0;
        for (i, limb) in limbs.iter_mut().enumerate() {
            if i >= used && carry == 0 {
                break;
            }
            carry += *limb as u64 * factor;
            *limb = (carry % LIMB) as u32;
            carry /= LIMB;
            used = used.max(i + 1);
        }
        power -= step;
    }
    let (mut digits, mut size, mut half, mut sticky) = (0, 0, false, false);
    for &limb in limbs.iter().rev() {
        let mut divisor = 100_000_000;
        while divisor > 0 {
            let next = limb / divisor % 10;
            divisor /= 10;
            match size {
                0 if next == 0 => continue,
                0..4 => digits = digits * 10 + next as u64,
                4 => (half, sticky) = (next >= 5, next != 5 && next != 0),
                _ => sticky |= next != 0,
            }
            size += 1;
        }
    }
    let mut ten = size - 4 + exponent.min(0);
    while size < 4 {
        digits *= 10;
        size += 1;
    }
    if half && (sticky || digits % 2 == 1) {
        digits += 1;
    }
    if digits == 10_000 {
        digits = 1000;
        ten += 1;
    }
    (digits, ten)
}

/// Something that a text for people can hold.
pub trait Part {
    #[doc(hidden)]
    fn say(&self, t: &mut Text);
}

impl Part for str {
    fn say(&self, t: &mut Text) {
        t.str(self);
    }
}

impl Part for &str {
    fn say(&self, t: &mut Text) {
        t.str(self);
    }
}

impl Part for f64 {
    fn say(&self, t: &mut Text) {
        t.number(*self);
    }
}

impl Part for i64 {
    fn say(&self, t: &mut Text) {
        t.whole(*self);
    }
}

impl Part for i32 {
    fn say(&self, t: &mut Text) {
        t.whole(*self as i64);
    }
}

impl Part for u32 {
    fn say(&self, t: &mut Text) {
        t.whole(*self as i64);
    }
}

impl Part for u64 {
    fn say(&self, t: &mut Text) {
        t.digits(*self, 1);
    }
}

impl Part for usize {
    fn say(&self, t: &mut Text) {
        t.digits(*self as u64, 1);
    }
}

impl Part for bool {
    fn say(&self, t: &mut Text) {
        t.str(if *self { "true" } else { "false" });
    }
}

impl Part for Duration {
    fn say(&self, t: &mut Text) {
        t.duration(self.0);
    }
}

impl Part for KnobInfo<'_> {
    fn say(&self, t: &mut Text) {
        t.str(self.name);
    }
}

/// A number with its unit: 3.5e9 with "Hz" reads 3.5 GHz.
pub struct Quantity<'a>(pub f64, pub &'a str);

impl Part for Quantity<'_> {
    fn say(&self, t: &mut Text) {
        let Quantity(v, unit) = *self;
        if unit.is_empty() || unit == "ratio" {
            return t.number(v);
        }
        let scales = matches!(unit, "Hz" | "B" | "W" | "J" | "bit/s" | "B/s");
        let (size, prefix) = match v.abs() {
            1e12.. if scales => (1e12, "T"),
            1e9.. if scales => (1e9, "G"),
            1e6.. if scales => (1e6, "M"),
            1e3.. if scales => (1e3, "k"),
            _ => (1.0, ""),
        };
        t.number(v / size);
        t.str(" ");
        t.str(prefix);
        t.str(unit);
    }
}

/// The parts of a text for people: `text!["load ", load, " is above ", 2.0]`.
#[macro_export]
macro_rules! text {
    ($($part:expr),* $(,)?) => {
        &[$(&$part as &dyn $crate::Part),*]
    };
}
