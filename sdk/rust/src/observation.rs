//! What is known at one moment.

use crate::{cbor::*, Duration, Knob, Metric, Time};

/// What is known at one moment. The columns lie in the request.
pub struct Observation<'a> {
    seq: u64,
    time_ns: i64,
    trigger: u32,
    ids: Column32<'a>,
    values: Column64<'a>,
    ages_ms: Column32<'a>,
    knob_ids: Column32<'a>,
    knob_values: Column64<'a>,
    dense: bool, // row i is metric i
}

impl<'a> Observation<'a> {
    pub(crate) fn read(b: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(b);
        r.exactly(8);
        let mut o = Observation {
            seq: r.expect(UINT),
            time_ns: r.int64(),
            trigger: r.uint32(),
            ids: r.column32(MAX_METRICS),
            values: r.column64(MAX_METRICS),
            ages_ms: r.column32(MAX_METRICS),
            knob_ids: r.column32(MAX_KNOBS),
            knob_values: r.column64(MAX_KNOBS),
            dense: false,
        };
        let same = o.ids.len() == o.values.len() && o.ids.len() == o.ages_ms.len() && o.knob_ids.len() == o.knob_values.len();
        if !r.finish() || !same {
            return None;
        }
        o.dense = o.ids.iter().enumerate().all(|(i, id)| id as usize == i);
        Some(o)
    }

    /// The metric's value, if there is one. It may be old: see [`Observation::age`].
    pub fn value(&self, m: Metric) -> Option<f64> {
        let id = m.0.checked_sub(1)?;
        let row = if self.dense { id as usize } else { (0..self.ids.len()).rev().find(|&row| self.ids.get(row) == Some(id))? };
        self.values.get(row).filter(|v| !v.is_nan())
    }

    /// The time since the metric's sample was taken; [`Duration::FOREVER`] when there is none.
    pub fn age(&self, m: Metric) -> Duration {
        let age = m.0.checked_sub(1).and_then(|id| self.ages_ms.get(row(&self.ids, id)?));
        match age {
            None | Some(u32::MAX) => Duration::FOREVER,
            Some(ms) => Duration::milliseconds(ms as i64),
        }
    }

    /// As [`Observation::value`], but only when the sample is at most that old.
    pub fn fresh(&self, m: Metric, age: Duration) -> Option<f64> {
        if self.age(m) > age {
            return None;
        }
        self.value(m)
    }

    /// The value in effect now, in the knob's unit (for a choice its index), if it is known.
    pub fn knob(&self, k: Knob) -> Option<f64> {
        let row = row(&self.knob_ids, k.0.checked_sub(1)?)?;
        self.knob_values.get(row).filter(|v| !v.is_nan())
    }

    /// Counts the observations of this policy and asset.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When the observation was made: the episode's clock.
    pub fn time(&self) -> Time {
        Time(self.time_ns)
    }

    /// Whether a metric crossed a bound, rather than that the interval passed.
    pub fn woken(&self) -> bool {
        self.trigger == 1
    }

    /// Whether a person asked for this episode.
    pub fn manual(&self) -> bool {
        self.trigger == 2
    }

    #[cfg(test)]
    pub(crate) fn dump(&self, f: &mut dyn FnMut(&str, u64)) {
        f("seq", self.seq);
        f("time_ns", self.time_ns as u64);
        f("trigger", self.trigger as u64);
        self.ids.iter().for_each(|v| f("ids", v as u64));
        self.values.iter().for_each(|v| f("values", v.to_bits()));
        self.ages_ms.iter().for_each(|v| f("ages_ms", v as u64));
        self.knob_ids.iter().for_each(|v| f("knob_ids", v as u64));
        self.knob_values.iter().for_each(|v| f("knob_values", v.to_bits()));
    }
}

/// The row with this id: at its own place when all are there, else by search.
fn row(ids: &Column32, id: u32) -> Option<usize> {
    if ids.get(id as usize) == Some(id) {
        return Some(id as usize);
    }
    ids.iter().position(|i| i == id)
}
