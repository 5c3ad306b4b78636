//! What is to be done.

use crate::{
    cbor::*,
    instance::Failure,
    setup::Init,
    text,
    text::{Part, Text},
    Duration, Knob, KnobInfo, Knobs, Mechanism,
};

/// As many settings as fit a window.
const MOST: usize = 2720;

/// Memory for the settings of one plan.
pub(crate) struct Rows {
    mechanisms: [u32; MOST],
    verbs: [u32; MOST],
    knobs: [u32; MOST],
    values: [f64; MOST],
    lease_ms: [u32; MOST],
}

impl Rows {
    pub const fn new() -> Self {
        Rows { mechanisms: [0; MOST], verbs: [0; MOST], knobs: [0; MOST], values: [0.0; MOST], lease_ms: [0; MOST] }
    }
}

const SET: u32 = 0;
const RESET: u32 = 1;
const ALL: u32 = u32::MAX;

/// Collects what [`crate::Policy::plan`] wants done. A setting that can't be meant fails the whole plan.
pub struct Plan<'a> {
    pub(crate) init: Init<'a>,
    pub(crate) length: usize,
    pub(crate) rows: &'a mut Rows,
    pub(crate) why: &'a mut Text,
    pub(crate) failure: &'a mut Failure,
}

/// The settings that one call added.
pub struct Settings<'p, 'a> {
    plan: &'p mut Plan<'a>,
    from: usize,
}

impl<'a> Plan<'a> {
    /// Gives the plan's reason for people. Without it the reason of the verdict stands.
    pub fn why(&mut self, why: &[&dyn Part]) {
        self.why.set(why);
    }

    /// Ends the episode for a reason.
    pub fn fail(&mut self, why: &[&dyn Part]) {
        self.failure.set("policy.failed", why);
    }

    /// What is known of the knobs of a selection.
    pub fn each(&self, knobs: Knobs) -> impl Iterator<Item = KnobInfo<'a>> + use<'a> {
        self.init.knobs(knobs)
    }

    /// What is known of a knob.
    pub fn info(&self, knob: Knob) -> Option<KnobInfo<'a>> {
        self.init.knob(knob)
    }

    /// Gives a knob a value in the knob's unit. Values outside the range are clamped, and reported, below the policy.
    pub fn set(&mut self, knob: Knob, value: f64) -> Settings<'_, 'a> {
        let from = self.length;
        match self.info(knob) {
            Some(k) => self.set_known(&k, value),
            None => self.refuse(text!["set a knob that was not found at initialisation"]),
        }
        Settings { plan: self, from }
    }

    fn set_known(&mut self, k: &KnobInfo, value: f64) {
        if value.is_finite() {
            self.add(k.mechanism, SET, k.id, value);
        } else {
            self.refuse(text!["set ", k.name, " to ", value]);
        }
    }

    /// Sets each knob to the top of its range.
    pub fn set_max(&mut self, knobs: Knobs) -> Settings<'_, 'a> {
        self.set_end(knobs, true)
    }

    /// Sets each knob to the bottom of its range.
    pub fn set_min(&mut self, knobs: Knobs) -> Settings<'_, 'a> {
        self.set_end(knobs, false)
    }

    fn set_end(&mut self, knobs: Knobs, top: bool) -> Settings<'_, 'a> {
        let from = self.length;
        for k in self.init.knobs(knobs) {
            match k.range() {
                Some((least, most)) => self.set_known(&k, if top { most } else { least }),
                None => self.refuse(text!["set ", k.name, " to an end of its range: it has none"]),
            }
        }
        Settings { plan: self, from }
    }

    /// Sets each knob to the value.
    pub fn set_all(&mut self, knobs: Knobs, value: f64) -> Settings<'_, 'a> {
        let from = self.length;
        for k in self.init.knobs(knobs) {
            self.set_known(&k, value);
        }
        Settings { plan: self, from }
    }

    /// Sets a knob that is a choice by name.
    pub fn choose(&mut self, knob: Knob, choice: &str) -> Settings<'_, 'a> {
        let from = self.length;
        match self.info(knob) {
            None => self.refuse(text!["set a knob that was not found at initialisation"]),
            Some(k) => match k.choices().position(|c| c == choice) {
                Some(i) => self.set_known(&k, i as f64),
                None => self.refuse(text!["set ", k.name, " to ", choice, ", which is not one of its choices"]),
            },
        }
        Settings { plan: self, from }
    }

    /// Gives every granted knob of the mechanism its original value back.
    pub fn reset(&mut self, m: Mechanism) -> Settings<'_, 'a> {
        let from = self.length;
        match m.0.checked_sub(1) {
            Some(id) => self.add(id, RESET, ALL, 0.0),
            None => self.refuse(text!["reset a mechanism that was not found at initialisation"]),
        }
        Settings { plan: self, from }
    }

    /// Gives each knob its original value back.
    pub fn reset_knobs(&mut self, knobs: Knobs) -> Settings<'_, 'a> {
        let from = self.length;
        for k in self.init.knobs(knobs) {
            self.add(k.mechanism, RESET, k.id, 0.0);
        }
        Settings { plan: self, from }
    }

    fn add(&mut self, mechanism: u32, verb: u32, knob: u32, value: f64) {
        let (n, r) = (self.length, &mut *self.rows);
        let row = (r.mechanisms.get_mut(n), r.verbs.get_mut(n), r.knobs.get_mut(n), r.values.get_mut(n), r.lease_ms.get_mut(n));
        let (Some(m), Some(v), Some(k), Some(x), Some(l)) = row else {
            return self.refuse(text!["have too many settings"]);
        };
        (*m, *v, *k, *x, *l) = (mechanism, verb, knob, value, 0);
        self.length += 1;
    }

    fn refuse(&mut self, what: &[&dyn Part]) {
        if let Some(message) = self.failure.begin("policy.plan") {
            message.str("the plan would ");
            for p in what {
                p.say(message);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn row(&mut self, [mechanism, verb, knob, lease]: [u32; 4], value: f64) {
        self.add(mechanism, verb, knob, value);
        self.rows.lease_ms[self.length - 1] = lease;
    }

    pub(crate) fn write(&self, seq: u64, w: &mut Writer) {
        let n = self.length;
        w.head(ARRAY, 7);
        w.head(UINT, seq);
        w.said(self.why.as_bytes());
        w.column32(self.rows.mechanisms.get(..n).unwrap_or(&[]));
        w.column32(self.rows.verbs.get(..n).unwrap_or(&[]));
        w.column32(self.rows.knobs.get(..n).unwrap_or(&[]));
        w.column64(self.rows.values.get(..n).unwrap_or(&[]));
        w.column32(self.rows.lease_ms.get(..n).unwrap_or(&[]));
    }
}

impl Settings<'_, '_> {
    /// Says after how long the knobs get their original values back, unless a later plan sets them again by then. Without it
    /// they hold for as long as the policy is in charge and well.
    pub fn lease(self, lease: Duration) {
        let ms = lease.as_milliseconds();
        if !(1..u32::MAX as i64).contains(&ms) {
            return self.plan.refuse(text!["lease a knob for ", lease]);
        }
        for l in self.plan.rows.lease_ms.get_mut(self.from..self.plan.length).unwrap_or(&mut []) {
            *l = ms as u32;
        }
    }
}
