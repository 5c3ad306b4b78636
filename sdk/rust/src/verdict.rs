//! The answer to an observation.

use crate::{
    cbor::*,
    instance::Failure,
    text,
    text::{Part, Text},
    Duration, Metric,
};

/// As many bounds as fit a window.
const MOST: usize = 3072;

/// Memory for the bounds of one verdict.
pub(crate) struct Bounds {
    ids: [u32; MOST],
    above: [f64; MOST],
    below: [f64; MOST],
}

impl Bounds {
    pub const fn new() -> Self {
        Bounds { ids: [0; MOST], above: [0.0; MOST], below: [0.0; MOST] }
    }
}

/// The answer of [`crate::Policy::analyze`].
pub struct Verdict<'a> {
    pub(crate) act: bool,
    pub(crate) next: Duration,
    pub(crate) length: usize,
    pub(crate) bounds: &'a mut Bounds,
    pub(crate) why: &'a mut Text,
    pub(crate) failure: &'a mut Failure,
}

impl Verdict<'_> {
    /// Says that a plan is needed, and why.
    pub fn act(&mut self, why: &[&dyn Part]) -> &mut Self {
        self.decide(true, why)
    }

    /// Says that nothing has to change, and why.
    pub fn stay(&mut self, why: &[&dyn Part]) -> &mut Self {
        self.decide(false, why)
    }

    /// Says whether a plan is needed, and why.
    pub fn decide(&mut self, act: bool, why: &[&dyn Part]) -> &mut Self {
        self.act = act;
        self.why.set(why);
        self
    }

    /// Asks for the next analyze after that time at the latest, once. Without it the interval of policy.yaml holds.
    pub fn next(&mut self, after: Duration) -> &mut Self {
        self.next = after;
        self
    }

    /// Asks for an analyze as soon as the metric goes above value, without waiting for the interval. Bounds replace those of the
    /// verdict before; a verdict without any keeps them.
    pub fn wake_above(&mut self, m: Metric, value: f64) -> &mut Self {
        self.wake(m, value, f64::NAN)
    }

    /// As [`Verdict::wake_above`], for the other direction.
    pub fn wake_below(&mut self, m: Metric, value: f64) -> &mut Self {
        self.wake(m, f64::NAN, value)
    }

    fn wake(&mut self, m: Metric, above: f64, below: f64) -> &mut Self {
        let (n, b) = (self.length, &mut *self.bounds);
        let row = (m.0.checked_sub(1), b.ids.get_mut(n), b.above.get_mut(n), b.below.get_mut(n));
        match row {
            (None, ..) => self.failure.set("policy.not-found", text!["wake on a metric that was not found at initialisation"]),
            (Some(id), Some(i), Some(a), Some(b)) => {
                (*i, *a, *b) = (id, above, below);
                self.length += 1;
            }
            _ => self.failure.set("policy.verdict", text!["the verdict has too many bounds"]),
        }
        self
    }

    /// Ends the episode for a reason.
    pub fn fail(&mut self, why: &[&dyn Part]) {
        self.failure.set("policy.failed", why);
    }

    pub(crate) fn write(&self, seq: u64, w: &mut Writer) {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        w.head(ARRAY, 7);
        w.head(UINT, seq);
        w.bool(self.act);
        w.head(UINT, self.next.as_milliseconds().clamp(0, DAY) as u64);
        w.said(self.why.as_bytes());
        w.column32(self.bounds.ids.get(..self.length).unwrap_or(&[]));
        w.column64(self.bounds.above.get(..self.length).unwrap_or(&[]));
        w.column64(self.bounds.below.get(..self.length).unwrap_or(&[]));
    }
}
