//! Reads and writes CBOR in the one form that the ABI has (wasmabi/schema.cddl), without memory of its own.

pub const MAX_NAME: usize = 256;
pub const MAX_CONTEXT: usize = 64 << 10;
pub const MAX_METRICS: usize = 4096;
pub const MAX_KNOBS: usize = 4096;
pub const MAX_CHOICES: usize = 256;
pub const MAX_KEY: usize = 64;
const MAX_DEPTH: u32 = 8;

pub const UINT: u8 = 0 << 5;
pub const INT: u8 = 1 << 5;
pub const BYTES: u8 = 2 << 5;
pub const TEXT: u8 = 3 << 5;
pub const ARRAY: u8 = 4 << 5;
pub const MAP: u8 = 5 << 5;
pub const TAG: u8 = 6 << 5;
const OTHER: u8 = 7 << 5;
pub const FALSE: u8 = OTHER | 20;
pub const TRUE: u8 = OTHER | 21;
const FLOAT16: u8 = OTHER | 25;
const FLOAT64: u8 = OTHER | 27;

/// The only NaN in a column.
pub const NAN: u64 = 0x7ff8_0000_0000_0000;

/// Walks one message. The first failure sticks and moves it to the end, so that a decoder asks once.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    pub bad: bool,
}

impl<'a> Reader<'a> {
    pub fn new(b: &'a [u8]) -> Self {
        Reader { rest: b, bad: false }
    }

    pub fn fail(&mut self) {
        self.bad = true;
        self.rest = &[];
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether the message was read to its end without a failure.
    pub fn finish(&self) -> bool {
        !self.bad && self.rest.is_empty()
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        match self.rest.split_at_checked(n) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => {
                self.fail();
                &[]
            }
        }
    }

    /// Takes that many bytes, at most eight, as a number.
    fn big(&mut self, n: usize) -> u64 {
        self.take(n).iter().fold(0, |v, &b| v << 8 | b as u64)
    }

    /// Reads any head, and refuses one that could be shorter.
    pub fn head(&mut self) -> (u8, u64) {
        let first = self.big(1) as u8;
        if self.bad {
            return (OTHER, 0);
        }
        let (major, info) = (first & 0xe0, first & 0x1f);
        if info < 24 {
            return (major, info as u64);
        }
        if info > 27 {
            self.fail();
            return (major, 0);
        }
        let size = 1 << (info - 24);
        let value = self.big(size);
        let least = if size == 1 { 24 } else { 1 << (size * 4) };
        if value < least {
            self.fail();
            return (major, 0);
        }
        (major, value)
    }

    pub fn expect(&mut self, major: u8) -> u64 {
        let (got, value) = self.head();
        if got != major {
            self.fail();
            return 0;
        }
        value
    }

    pub fn uint32(&mut self) -> u32 {
        let value = self.expect(UINT);
        if value > u32::MAX as u64 {
            self.fail();
            return 0;
        }
        value as u32
    }

    pub fn int64(&mut self) -> i64 {
        let (major, value) = self.head();
        if major != UINT && major != INT || value > i64::MAX as u64 {
            self.fail();
            return 0;
        }
        if major == INT {
            -1 - value as i64
        } else {
            value as i64
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub fn flag(&mut self) -> bool {
        let b = self.big(1) as u8;
        if b != TRUE && b != FALSE {
            self.fail();
        }
        b == TRUE
    }

    /// Reads a float of any width, and refuses one that could be shorter, and NaN.
    pub fn float(&mut self) -> f64 {
        let head = self.big(1) as u8;
        if self.bad || !(FLOAT16..=FLOAT64).contains(&head) {
            self.fail();
            return 0.0;
        }
        let size = 2 << (head - FLOAT16);
        let bits = self.big(size);
        let (value, longer) = match size {
            2 => (from_half(bits as u32), false),
            4 => {
                let v = f32::from_bits(bits as u32) as f64;
                (v, to_half(v).is_some())
            }
            _ => {
                let v = f64::from_bits(bits);
                (v, v as f32 as f64 == v)
            }
        };
        if value.is_nan() || longer {
            self.fail();
        }
        value
    }

    /// Reads the content of a byte string.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        self.raw(BYTES, most)
    }

    fn raw(&mut self, major: u8, most: usize) -> &'a [u8] {
        let n = self.expect(major);
        if n > most as u64 {
            self.fail();
            return &[];
        }
        self.take(n as usize)
    }

    pub fn text(&mut self, most: usize) -> &'a str {
        let raw = self.raw(TEXT, most);
        if !is_utf8(raw) {
            self.fail();
            return "";
        }
        // SAFETY: checked.
        unsafe { core::str::from_utf8_unchecked(raw) }
    }

    pub fn name(&mut self) -> &'a str {
        self.text(MAX_NAME)
    }

    fn column(&mut self, tag: u8, width: usize, most: usize) -> &'a [u8] {
        let head = self.take(2);
        if head != [TAG | 24, tag] {
            self.fail();
            return &[];
        }
        let raw = self.raw(BYTES, most * width);
        if raw.len() % width != 0 {
            self.fail();
            return &[];
        }
        raw
    }

    pub fn column32(&mut self, most: usize) -> Column32<'a> {
        Column32(self.column(70, 4, most))
    }

    pub fn column64(&mut self, most: usize) -> Column64<'a> {
        let column = Column64(self.column(86, 8, most));
        for v in column.iter() {
            if v.is_nan() && v.to_bits() != NAN {
                self.fail();
                return Column64(&[]);
            }
        }
        column
    }

    /// Reads the head of an array of exactly n elements.
    pub fn exactly(&mut self, n: u64) {
        if self.expect(ARRAY) != n {
            self.fail();
        }
    }

    /// Reads the head of an array, and returns how many elements it has.
    pub fn list(&mut self, most: usize) -> u32 {
        let n = self.expect(ARRAY);
        if n > most as u64 || n > self.left() as u64 {
            self.fail();
            return 0;
        }
        n as u32
    }

    pub fn keys(&mut self) -> Keys<'a> {
        let left = self.expect(MAP);
        if left > self.left() as u64 / 2 {
            self.fail();
            return Keys { left: 0, key: "" };
        }
        Keys { left, key: "" }
    }

    /// Passes over one value of any kind.
    pub fn skip(&mut self, depth: u32) {
        if depth == MAX_DEPTH {
            return self.fail();
        }
        if let Some(head @ FLOAT16..=FLOAT64) = self.peek() {
            self.take(1 + (2 << (head - FLOAT16)));
            return;
        }
        let (major, mut n) = self.head();
        match major {
            BYTES | TEXT => {
                self.take(usize::try_from(n).unwrap_or(usize::MAX));
            }
            TAG => self.skip(depth + 1),
            ARRAY | MAP => {
                while n > 0 && !self.bad {
                    if major == MAP {
                        self.skip(depth + 1);
                    }
                    self.skip(depth + 1);
                    n -= 1;
                }
            }
            _ => {}
        }
    }

    /// Passes over one value of a context, and refuses what is none.
    pub fn skip_value(&mut self) {
        let Some(first) = self.peek() else { return self.fail() };
        match first & 0xe0 {
            UINT | INT => {
                self.int64();
            }
            BYTES => {
                self.bytes(MAX_CONTEXT);
            }
            TEXT => {
                self.text(MAX_CONTEXT);
            }
            TAG => {
                self.column64(MAX_CONTEXT / 8);
            }
            _ if first == FALSE || first == TRUE => {
                self.take(1);
            }
            _ if self.rest.starts_with(&[FLOAT16, 0x7e, 0]) => {
                self.take(3);
            }
            _ => {
                self.float();
            }
        }
    }

    /// What was read since an earlier state of this reader.
    pub fn since(&self, earlier: &Reader<'a>) -> &'a [u8] {
        earlier.rest.get(..earlier.rest.len() - self.rest.len()).unwrap_or(&[])
    }
}

/// Walks a map, and refuses keys that are out of order or repeated.
pub struct Keys<'a> {
    pub left: u64,
    key: &'a str,
}

impl<'a> Keys<'a> {
    pub fn next(&mut self, r: &mut Reader<'a>) -> Option<&'a str> {
        if self.left == 0 || r.bad {
            return None;
        }
        self.left -= 1;
        let key = r.text(MAX_KEY);
        if key.is_empty() || !self.key.is_empty() && !before(self.key.as_bytes(), key.as_bytes()) {
            r.fail();
            return None;
        }
        self.key = key;
        Some(key)
    }
}

/// The bytes as a text, if they are one.
pub fn utf8(raw: &[u8]) -> Option<&str> {
    // SAFETY: checked.
    is_utf8(raw).then(|| unsafe { core::str::from_utf8_unchecked(raw) })
}

/// As core::str::from_utf8, which is made for long texts and three times the size.
fn is_utf8(b: &[u8]) -> bool {
    let (mut more, mut low, mut high) = (0, 0x80, 0xbf); // bytes that have to follow, and the range of the next
    for &b in b {
        if more > 0 {
            if b < low || b > high {
                return false;
            }
            (more, low, high) = (more - 1, 0x80, 0xbf);
            continue;
        }
        more = match b {
            0..0x80 => 0,
            0xc2..0xe0 => 1,
            0xe0..0xf0 => 2,
            0xf0..0xf5 => 3,
            _ => return false,
        };
        match b {
            0xe0 => low = 0xa0,
            0xed => high = 0x9f,
            0xf0 => low = 0x90,
            0xf4 => high = 0x8f,
            _ => {}
        }
    }
    more == 0
}

/// Copies what both have room for; core's own way can panic, and brings much along for that.
pub fn copy(to: &mut [u8], from: &[u8]) {
    let n = to.len().min(from.len());
    // SAFETY: both have n bytes, and one of them is borrowed mutably.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), n) }
}

/// The order of encoded keys: a shorter one comes first.
pub fn before(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return a.len() < b.len();
    }
    a < b
}

/// Little endian numbers that stay where they are.
#[derive(Clone, Copy, Default)]
pub struct Column32<'a>(&'a [u8]);

impl Column32<'_> {
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    pub fn get(&self, row: usize) -> Option<u32> {
        let b = self.0.get(row * 4..)?;
        Some(u32::from_le_bytes(*b.first_chunk()?))
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.0.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b))
    }
}

/// As [`Column32`].
#[derive(Clone, Copy, Default)]
pub struct Column64<'a>(&'a [u8]);

impl Column64<'_> {
    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    pub fn get(&self, row: usize) -> Option<f64> {
        let b = self.0.get(row * 8..)?;
        Some(f64::from_le_bytes(*b.first_chunk()?))
    }

    pub fn iter(&self) -> impl Iterator<Item = f64> + '_ {
        self.0.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b))
    }
}

/// Writes to memory of a fixed size; what does not fit is left out and remembered.
pub struct Writer<'a> {
    to: &'a mut [u8],
    pub length: usize,
    pub full: bool,
}

impl<'a> Writer<'a> {
    pub fn new(to: &'a mut [u8]) -> Self {
        Writer { to, length: 0, full: false }
    }

    pub fn put(&mut self, b: &[u8]) {
        match self.to.get_mut(self.length..self.length + b.len()) {
            Some(to) => {
                copy(to, b);
                self.length += b.len();
            }
            None => self.full = true,
        }
    }

    pub fn byte(&mut self, b: u8) {
        match self.to.get_mut(self.length) {
            Some(to) => {
                *to = b;
                self.length += 1;
            }
            None => self.full = true,
        }
    }

    fn big(&mut self, v: u64, size: u32) {
        for i in (0..size).rev() {
            self.byte((v >> (8 * i)) as u8);
        }
    }

    pub fn head(&mut self, major: u8, v: u64) {
        if v < 24 {
            return self.byte(major | v as u8);
        }
        let step = (v >= 1 << 8) as u8 + (v >= 1 << 16) as u8 + (v >= 1 << 32) as u8;
        self.byte(major | (24 + step));
        self.big(v, 1 << step);
    }

    pub fn int(&mut self, v: i64) {
        if v < 0 {
            self.head(INT, !v as u64);
        } else {
            self.head(UINT, v as u64);
        }
    }

    pub fn bool(&mut self, v: bool) {
        self.byte(if v { TRUE } else { FALSE });
    }

    pub fn text(&mut self, text: &str) {
        self.said(text.as_bytes());
    }

    /// Writes bytes that are a text.
    pub fn said(&mut self, text: &[u8]) {
        self.head(TEXT, text.len() as u64);
        self.put(text);
    }

    pub fn bytes(&mut self, b: &[u8]) {
        self.head(BYTES, b.len() as u64);
        self.put(b);
    }

    /// Writes the shortest of the three floats that keeps the value.
    pub fn float(&mut self, v: f64) {
        let single = v as f32;
        let half = if v.is_nan() { Some(0x7e00) } else { to_half(v) };
        let (head, bits) = match half {
            Some(half) => (FLOAT16, half as u64),
            None if single as f64 == v => (FLOAT16 + 1, single.to_bits() as u64),
            None => (FLOAT64, v.to_bits()),
        };
        self.byte(head);
        self.big(bits, 2 << (head - FLOAT16));
    }

    fn column(&mut self, tag: u8, length: usize) {
        self.byte(TAG | 24);
        self.byte(tag);
        self.head(BYTES, length as u64);
    }

    pub fn column32(&mut self, v: &[u32]) {
        self.column(70, v.len() * 4);
        for x in v {
            self.put(&x.to_le_bytes());
        }
    }

    pub fn column64(&mut self, v: &[f64]) {
        self.column(86, v.len() * 8);
        for &x in v {
            let bits = if x.is_nan() { NAN } else { x.to_bits() };
            self.put(&bits.to_le_bytes());
        }
    }
}

/// The value of a binary16.
fn from_half(h: u32) -> f64 {
    let (exponent, fraction) = (h >> 10 & 0x1f, (h & 0x3ff) as u64);
    let value = match exponent {
        0 => fraction as f64 / 16_777_216.0,
        31 => f64::from_bits(0x7ff << 52 | fraction << 42),
        _ => f64::from_bits((exponent as u64 + 1008) << 52 | fraction << 42),
    };
    if h >> 15 != 0 {
        -value
    } else {
        value
    }
}

/// The binary16 of the same value, if there is one. NaN has none here: it has its own rule.
fn to_half(v: f64) -> Option<u32> {
    let bits = v.to_bits();
    let sign = (bits >> 48) as u32 & 0x8000;
    let exponent = (bits >> 52 & 0x7ff) as i32 - 1023;
    let fraction = bits & ((1 << 52) - 1);
    let (half, lost) = match exponent {
        _ if v == 0.0 => (0, 0),
        1024 => (0x7c00, fraction),
        -14..=15 => (((exponent + 15) as u32) << 10 | (fraction >> 42) as u32, fraction & ((1 << 42) - 1)),
        -24..=-15 => {
            let shift = (28 - exponent) as u32;
            let fraction = fraction | 1 << 52;
            ((fraction >> shift) as u32, fraction & ((1 << shift) - 1))
        }
        _ => return None,
    };
    (lost == 0).then_some(sign | half)
}
