//! What lasts from one episode to the next.

use crate::{cbor::*, instance::Failure, text, Duration, Time};

const MOST_ENTRIES: usize = 1024;
const MOST_BYTES: usize = 2 * MAX_CONTEXT;

/// One named value, encoded; offsets into the state's bytes.
#[derive(Clone, Copy)]
struct Entry {
    at: u32,
    key: u32,   // bytes of the key
    value: u32, // bytes of the value, which follows
}

/// What lasts from one episode to the next: values by key. Keys are at most 64 bytes, everything together at most 64 KiB. A value
/// that is not there, or is of another type, reads as zero.
pub struct State {
    entries: [Entry; MOST_ENTRIES],
    length: usize,
    bytes: [u8; MOST_BYTES],
    used: usize,
    full: bool,
}

impl State {
    pub(crate) const fn new() -> Self {
        State {
            entries: [Entry { at: 0, key: 0, value: 0 }; MOST_ENTRIES],
            length: 0,
            bytes: [0; MOST_BYTES],
            used: 0,
            full: false,
        }
    }

    /// Reads a context. No bytes at all are no entries.
    pub(crate) fn read(&mut self, context: &[u8], failure: &mut Failure) -> bool {
        (self.length, self.used, self.full) = (0, 0, false);
        if context.is_empty() {
            return true;
        }
        let mut r = Reader::new(context);
        let mut keys = r.keys();
        if keys.left > MOST_ENTRIES as u64 {
            r.fail();
        }
        while let Some(key) = keys.next(&mut r) {
            let from = r;
            r.skip_value();
            let value = r.since(&from);
            self.append(key, value);
        }
        if !r.finish() {
            failure.set("policy.context", text!["the saved state can not be decoded"]);
        }
        r.finish()
    }

    /// Writes the entries in the order of their keys.
    pub(crate) fn write(&mut self, w: &mut Writer, failure: &mut Failure) {
        self.sort();
        w.head(MAP, self.length as u64);
        let mut well = !self.full;
        for e in self.entries.iter().take(self.length) {
            let key = self.key(e);
            well &= (1..=MAX_KEY).contains(&key.len());
            w.head(TEXT, key.len() as u64);
            w.put(key);
            w.put(self.value(e));
        }
        if !well || w.full || w.length > MAX_CONTEXT {
            failure.set(
                "policy.context",
                text!["the saved state is larger than 64 KiB, or a key is empty or longer than 64 bytes"],
            );
        }
    }

    /// An insertion sort: states are small, and mostly sorted already.
    fn sort(&mut self) {
        for i in 1..self.length {
            for j in (1..=i).rev() {
                let (Some(&a), Some(&b)) = (self.entries.get(j - 1), self.entries.get(j)) else { break };
                if !before(self.key(&b), self.key(&a)) {
                    break;
                }
                self.place(j - 1, b);
                self.place(j, a);
            }
        }
    }

    fn place(&mut self, i: usize, e: Entry) {
        if let Some(to) = self.entries.get_mut(i) {
            *to = e;
        }
    }

    fn key(&self, e: &Entry) -> &[u8] {
        self.bytes.get(e.at as usize..(e.at + e.key) as usize).unwrap_or(&[])
    }

    fn value(&self, e: &Entry) -> &[u8] {
        let at = e.at + e.key;
        self.bytes.get(at as usize..(at + e.value) as usize).unwrap_or(&[])
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.entries.iter().take(self.length).position(|e| self.key(e) == key.as_bytes())
    }

    fn get(&self, key: &str) -> Reader<'_> {
        let found = self.find(key).and_then(|i| self.entries.get(i));
        Reader::new(found.map_or(&[], |e| self.value(e)))
    }

    /// Whether there is a value.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Gets what [`State::put_int`] put.
    pub fn int(&self, key: &str) -> i64 {
        self.get(key).int64()
    }

    /// Gets what [`State::put_float`] put.
    pub fn float(&self, key: &str) -> f64 {
        let mut r = self.get(key);
        let mut nan = [0; 3];
        Writer::new(&mut nan).float(f64::NAN);
        let here = self.find(key).and_then(|i| self.entries.get(i)).map_or(&[][..], |e| self.value(e));
        if here == nan {
            return f64::NAN;
        }
        let v = r.float();
        if r.bad {
            return 0.0;
        }
        v
    }

    /// Gets what [`State::put_bool`] put.
    pub fn bool(&self, key: &str) -> bool {
        self.get(key).peek() == Some(TRUE)
    }

    /// Gets what [`State::put_text`] put.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).text(MAX_CONTEXT)
    }

    /// Gets what [`State::put_bytes`] put.
    pub fn bytes(&self, key: &str) -> &[u8] {
        self.get(key).bytes(MAX_CONTEXT)
    }

    /// Gets what [`State::put_floats`] put.
    pub fn floats(&self, key: &str) -> impl Iterator<Item = f64> + '_ {
        let column = self.get(key).column64(MAX_CONTEXT / 8);
        (0..column.len()).filter_map(move |i| column.get(i))
    }

    /// Gets what [`State::put_time`] put.
    pub fn time(&self, key: &str) -> Option<Time> {
        let mut r = self.get(key);
        let ns = r.int64();
        (!r.bad).then_some(Time(ns))
    }

    /// Gets what [`State::put_duration`] put.
    pub fn duration(&self, key: &str) -> Duration {
        Duration(self.int(key))
    }

    /// Puts a whole number.
    pub fn put_int(&mut self, key: &str, v: i64) {
        self.put_small(key, |w, v| w.int(v as i64), v as u64);
    }

    /// Puts a number.
    pub fn put_float(&mut self, key: &str, v: f64) {
        self.put_small(key, |w, v| w.float(f64::from_bits(v)), v.to_bits());
    }

    /// Puts true or false.
    pub fn put_bool(&mut self, key: &str, v: bool) {
        self.put_small(key, |w, v| w.bool(v != 0), v as u64);
    }

    /// Puts a text.
    pub fn put_text(&mut self, key: &str, v: &str) {
        self.put_large(key, |w| w.text(v));
    }

    /// Puts bytes.
    pub fn put_bytes(&mut self, key: &str, v: &[u8]) {
        self.put_large(key, |w| w.bytes(v));
    }

    /// Puts a list of numbers.
    pub fn put_floats(&mut self, key: &str, v: &[f64]) {
        self.put_large(key, |w| w.column64(v));
    }

    /// Puts a moment; none takes the key away.
    pub fn put_time(&mut self, key: &str, v: Option<Time>) {
        match v {
            Some(Time(ns)) => self.put_int(key, ns),
            None => self.delete(key),
        }
    }

    /// Puts a duration.
    pub fn put_duration(&mut self, key: &str, v: Duration) {
        self.put_int(key, v.0);
    }

    /// Takes a key away.
    pub fn delete(&mut self, key: &str) {
        if let Some(i) = self.find(key) {
            self.length -= 1;
            if let Some(&last) = self.entries.get(self.length) {
                self.place(i, last);
            }
        }
    }

    /// Puts a value that is small: numbers and truths.
    fn put_small(&mut self, key: &str, write: fn(&mut Writer, u64), bits: u64) {
        let mut b = [0; 9];
        let mut w = Writer::new(&mut b);
        write(&mut w, bits);
        let length = w.length;
        self.put(key, b.get(..length).unwrap_or(&[]));
    }

    fn put(&mut self, key: &str, value: &[u8]) {
        self.delete(key);
        self.append(key, value);
    }

    /// Puts a value of any size, which is encoded where it stays.
    fn put_large(&mut self, key: &str, write: impl FnOnce(&mut Writer)) {
        self.put(key, &[]);
        let mut w = Writer::new(self.bytes.get_mut(self.used..).unwrap_or(&mut []));
        write(&mut w);
        let (length, full) = (w.length, w.full);
        self.full |= full;
        if let Some(e) = self.length.checked_sub(1).and_then(|i| self.entries.get_mut(i)) {
            e.value = length as u32;
            self.used += length;
        }
    }

    fn append(&mut self, key: &str, value: &[u8]) {
        let at = self.used;
        let mut w = Writer::new(self.bytes.get_mut(at..).unwrap_or(&mut []));
        w.put(key.as_bytes());
        w.put(value);
        let full = w.full;
        match self.entries.get_mut(self.length) {
            Some(e) if !full => {
                *e = Entry { at: at as u32, key: key.len() as u32, value: value.len() as u32 };
                self.length += 1;
                self.used += key.len() + value.len();
            }
            _ => self.full = true,
        }
    }
}
