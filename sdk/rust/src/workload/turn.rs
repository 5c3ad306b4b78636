//! One call of a workload, and what it emits.

use super::{
    instance::{FAILED, WINDOW},
    setup::{Input, Output},
};
use crate::{cbor::*, instance::Failure, setup::Items, text, text::Part, Duration, Time};

/// Numbers that come in or go out at a time, and as many byte strings.
const MAX_BATCH: usize = 64;

/// What came in at an input.
pub struct Value<'a> {
    /// Where it came in; what [`super::Setup::input`] found equals it.
    pub input: Input,
    /// The value of an input of type number.
    pub number: f64,
    /// The value of an input of type bytes.
    pub bytes: &'a [u8],
}

/// What came in at one time, checked before the first value is handed on.
pub(super) struct Batch<'a> {
    pub time: i64,
    ids: Column32<'a>,
    values: Column64<'a>,
    data_ids: Column32<'a>,
    data: Items<'a>,
}

impl<'a> Batch<'a> {
    pub fn read(request: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(request);
        r.exactly(5);
        let b = Batch {
            time: r.int64(),
            ids: r.column32(MAX_BATCH),
            values: r.column64(MAX_BATCH),
            data_ids: r.column32(MAX_BATCH),
            data: Items::read(&mut r, MAX_BATCH, |r| _ = r.bytes(WINDOW)),
        };
        let same = b.ids.len() == b.values.len() && b.data_ids.len() == b.data.length as usize;
        (same && r.finish()).then_some(b)
    }

    /// All values in their order, numbers first.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        let mut data = self.data.reader();
        let numbers = self.ids.iter().zip(self.values.iter()).map(|(id, number)| (id, number, &[][..]));
        let strings = self.data_ids.iter().map(move |id| (id, 0.0, data.bytes(WINDOW)));
        numbers.chain(strings).map(|(id, number, bytes)| Value { input: Input(id.wrapping_add(1)), number, bytes })
    }
}

/// What one turn emits.
pub(super) struct Emission {
    next_ms: u32,
    ids: [u32; MAX_BATCH],
    values: [f64; MAX_BATCH],
    length: usize,
    data_ids: [u32; MAX_BATCH],
    ends: [usize; MAX_BATCH], // of the strings, which lie one behind the other
    strings: usize,
    bytes: [u8; WINDOW],
    pub ticks: bool, // that is, it was not found out yet that the workload does not
}

impl Emission {
    pub const fn new() -> Self {
        Emission {
            next_ms: 0,
            ids: [0; MAX_BATCH],
            values: [0.0; MAX_BATCH],
            length: 0,
            data_ids: [0; MAX_BATCH],
            ends: [0; MAX_BATCH],
            strings: 0,
            bytes: [0; WINDOW],
            ticks: false,
        }
    }

    pub fn clear(&mut self) {
        (self.next_ms, self.length, self.strings, self.ticks) = (0, 0, 0, true);
    }

    fn add(&mut self, id: u32, value: f64) -> Option<()> {
        *self.ids.get_mut(self.length)? = id;
        *self.values.get_mut(self.length)? = value;
        self.length += 1;
        Some(())
    }

    fn add_bytes(&mut self, id: u32, value: &[u8]) -> Option<()> {
        let from = self.string(self.strings.wrapping_sub(1)).1;
        let end = from + value.len();
        copy(self.bytes.get_mut(from..end)?, value);
        *self.data_ids.get_mut(self.strings)? = id;
        *self.ends.get_mut(self.strings)? = end;
        self.strings += 1;
        Some(())
    }

    /// Where a string begins and ends; before the first, at the beginning.
    fn string(&self, i: usize) -> (usize, usize) {
        let end = |i: usize| self.ends.get(i).copied().unwrap_or(0);
        (end(i.wrapping_sub(1)), end(i))
    }

    pub fn write(&self, w: &mut Writer) {
        w.head(ARRAY, 5);
        w.head(UINT, self.next_ms as u64);
        w.column32(self.ids.get(..self.length).unwrap_or(&[]));
        w.column64(self.values.get(..self.length).unwrap_or(&[]));
        w.column32(self.data_ids.get(..self.strings).unwrap_or(&[]));
        w.head(ARRAY, self.strings as u64);
        for i in 0..self.strings {
            let (from, to) = self.string(i);
            w.bytes(self.bytes.get(from..to).unwrap_or(&[]));
        }
    }
}

/// One call of the workload.
pub struct Turn<'a> {
    pub(super) time: i64,
    pub(super) emission: &'a mut Emission,
    pub(super) failure: &'a mut Failure,
}

impl Turn<'_> {
    /// The device's time. It stands still during the turn.
    pub fn time(&self) -> Time {
        Time(self.time)
    }

    /// Gives an output of type number a value. One turn has room for 64 of them.
    pub fn emit(&mut self, to: Output, value: f64) {
        if let Some(id) = self.place(to) {
            let added = self.emission.add(id, value);
            self.bounded(added);
        }
    }

    /// Gives an output of type bytes a value. One turn has room for 64 of them, and for 4 KiB in all.
    pub fn emit_bytes(&mut self, to: Output, value: &[u8]) {
        if let Some(id) = self.place(to) {
            let added = self.emission.add_bytes(id, value);
            self.bounded(added);
        }
    }

    fn place(&mut self, to: Output) -> Option<u32> {
        if to == Output::default() {
            self.failure.set(FAILED, text!["an output is used that was not found at the start"]);
        }
        to.0.checked_sub(1)
    }

    fn bounded(&mut self, added: Option<()>) {
        if added.is_none() {
            self.failure.set("workload.too-many", text!["one turn emitted more than it may"]);
        }
    }

    /// Asks for the next tick after that time, instead of the manifest's.
    pub fn next(&mut self, after: Duration) {
        self.emission.next_ms = after.as_milliseconds().clamp(0, u32::MAX as i64) as u32;
    }

    /// Says why the work can't be done. What the turn emitted is lost; the workload goes on.
    pub fn fail(&mut self, why: &[&dyn Part]) {
        self.failure.set(FAILED, why);
    }

    pub(super) fn no_input(&mut self) {
        self.failure.set("workload.no-input", text!["the workload has no method input"]);
    }

    pub(super) fn no_tick(&mut self) {
        self.emission.ticks = false;
    }
}
