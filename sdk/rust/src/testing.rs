//! Runs a policy in plain `cargo test`, without Wasm and without a daemon. It is not a simulator of machines: knobs take the values that
//! plans give them, and nothing else happens.
//!
//! A [`Node`] stands for the host. It speaks the same calls and bytes as the real one, makes a fresh policy for each episode, keeps
//! the state between them, and runs every episode twice, so that a policy which depends on anything but its inputs fails its test.
//!
//! ```no_run
//! # use edgehold_policy::{*, testing::Node};
//! # #[derive(Default)] struct Boost;
//! # impl Policy for Boost {
//! #     fn initialize(&mut self, _: &mut Setup) {}
//! #     fn analyze(&mut self, _: &Observation, _: &mut Verdict) {}
//! #     fn plan(&mut self, _: &Observation, _: &mut Plan) {}
//! # }
//! let mut n = Node::<Boost>::new();
//! n.metric("node_load1");
//! n.knob("CPUFrequency", "policy0/max_frequency", 800e6, 3.5e9, "Hz");
//!
//! let e = n.episode(&[("node_load1", 3.0)]);
//! e.want_act("above");
//! e.want_set("policy0/max_frequency", 3.5e9);
//! ```

use crate::{cbor::*, Answers, Duration, Instance, Policy, Status, WINDOW};
use core::marker::PhantomData;
use std::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// The host of one policy. Declare metrics, knobs and parameters before the first episode.
pub struct Node<P> {
    metrics: Vec<String>,
    parameters: Vec<(String, f64)>,
    mechanisms: Vec<String>,
    knobs: Vec<TestKnob>,
    context: Vec<u8>,
    seq: u64,
    now: i64,
    age_ms: u32,
    policy: PhantomData<P>,
}

struct TestKnob {
    mechanism: usize,
    name: String,
    unit: String,
    least: f64,
    most: f64,
    value: f64,
    original: f64,
    expires: Option<i64>,
}

/// What one pass of the policy gave.
#[derive(Debug, PartialEq)]
pub struct Episode {
    /// Whether the verdict asked for a plan.
    pub act: bool,
    /// The verdict's reason.
    pub why: String,
    /// The plan's own reason.
    pub plan_why: String,
    /// When to analyze next; zero: the interval holds.
    pub next: Duration,
    /// The rows of the plan.
    pub settings: Vec<Setting>,
    context: Vec<u8>,
}

/// One row of a plan.
#[derive(Debug, PartialEq)]
pub struct Setting {
    /// The knob; empty: all of the mechanism.
    pub knob: String,
    /// Whether its original value comes back, rather than that it is set.
    pub reset: bool,
    /// The value.
    pub value: f64,
    /// How long it holds; zero: the host's default.
    pub lease: Duration,
}

impl<P: Policy> Default for Node<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Policy> Node<P> {
    /// A node at noon, with nothing declared.
    pub fn new() -> Self {
        Node {
            metrics: vec![],
            parameters: vec![],
            mechanisms: vec![],
            knobs: vec![],
            context: vec![],
            seq: 0,
            now: 1_767_268_800_000_000_000,
            age_ms: 0,
            policy: PhantomData,
        }
    }

    /// Declares a metric.
    pub fn metric(&mut self, name: &str) {
        self.metrics.push(name.to_string());
    }

    /// Declares a parameter with its value.
    pub fn parameter(&mut self, name: &str, value: f64) {
        self.parameters.push((name.to_string(), value));
    }

    /// Declares a granted knob, which starts at its least value.
    pub fn knob(&mut self, mechanism: &str, name: &str, least: f64, most: f64, unit: &str) {
        let known = self.mechanisms.iter().position(|m| m == mechanism);
        let mechanism = known.unwrap_or_else(|| {
            self.mechanisms.push(mechanism.to_string());
            self.mechanisms.len() - 1
        });
        let (name, unit) = (name.to_string(), unit.to_string());
        self.knobs.push(TestKnob { mechanism, name, unit, least, most, value: least, original: least, expires: None });
    }

    /// Makes the samples this old in the observations that follow.
    pub fn age(&mut self, age: Duration) {
        self.age_ms = age.as_milliseconds() as u32;
    }

    /// Moves the clock, and gives knobs whose lease has run out their original values back.
    pub fn advance(&mut self, d: Duration) {
        self.now += d.0;
        for k in &mut self.knobs {
            if k.expires.is_some_and(|at| at <= self.now) {
                (k.value, k.expires) = (k.original, None);
            }
        }
    }

    /// The value in effect.
    pub fn knob_value(&self, name: &str) -> f64 {
        self.knobs.iter().find(|k| k.name == name).unwrap_or_else(|| panic!("the test declares no knob {name}")).value
    }

    /// Runs one pass on values, and applies its plan to the knobs. A metric that is left out has no value. A policy that fails
    /// fails the test.
    pub fn episode(&mut self, values: &[(&str, f64)]) -> Episode {
        self.attempt(values).unwrap_or_else(|e| panic!("{e}"))
    }

    /// As [`Node::episode`], for policies that are expected to fail: with what the host would be told.
    pub fn attempt(&mut self, values: &[(&str, f64)]) -> Result<Episode, String> {
        self.seq += 1;
        let (init, observation) = (self.init(), self.observe(values));
        let first = self.pass(&init, &observation)?;
        if self.pass(&init, &observation).as_ref() != Ok(&first) {
            panic!("the same episode gave two results, so it depends on more than its inputs; what has to last belongs into save and load");
        }
        self.context.clone_from(&first.context);
        for s in &first.settings {
            self.apply(s);
        }
        Ok(first)
    }

    fn apply(&mut self, s: &Setting) {
        for k in self.knobs.iter_mut().filter(|k| s.knob.is_empty() || k.name == s.knob) {
            k.value = if s.reset { k.original } else { s.value.clamp(k.least, k.most) };
            k.expires = (s.lease.0 > 0).then_some(self.now + s.lease.0);
        }
    }

    fn pass(&self, init: &[u8], observation: &[u8]) -> Result<Episode, String> {
        let mut guest = Guest::<P>::new();
        guest.call(0, init)?;
        let mut e = self.read_analysis(&guest.call(1, observation)?);
        if e.act {
            self.read_plan(&guest.call(2, observation)?, &mut e);
        }
        e.context = guest.call(16, &[])?;
        Ok(e)
    }

    fn init(&self) -> Vec<u8> {
        write(|w| {
            w.head(MAP, 6);
            w.text("knobs");
            w.head(ARRAY, self.knobs.len() as u64);
            for k in &self.knobs {
                w.head(MAP, 6);
                w.text("max");
                w.float(k.most);
                w.text("min");
                w.float(k.least);
                w.text("kind");
                w.text("number");
                w.text("name");
                w.text(&k.name);
                w.text("unit");
                w.text(&k.unit);
                w.text("mechanism");
                w.int(k.mechanism as i64);
            }
            w.text("context");
            w.bytes(&self.context);
            w.text("metrics");
            w.head(ARRAY, self.metrics.len() as u64);
            for m in &self.metrics {
                w.head(MAP, 1);
                w.text("name");
                w.text(m);
            }
            w.text("mechanisms");
            w.head(ARRAY, self.mechanisms.len() as u64);
            self.mechanisms.iter().for_each(|m| w.text(m));
            w.text("parameters");
            w.column64(&self.parameters.iter().map(|p| p.1).collect::<Vec<_>>());
            w.text("parameter_names");
            w.head(ARRAY, self.parameters.len() as u64);
            self.parameters.iter().for_each(|p| w.text(&p.0));
        })
    }

    fn observe(&self, values: &[(&str, f64)]) -> Vec<u8> {
        for (name, _) in values {
            assert!(self.metrics.iter().any(|m| m == name), "the test declares no metric {name}");
        }
        let value = |m: &String| values.iter().find(|v| v.0 == m).map(|v| v.1);
        let numbers: Vec<u32> = (0..).take(self.metrics.len().max(self.knobs.len())).collect();
        write(|w| {
            w.head(ARRAY, 8);
            w.int(self.seq as i64);
            w.int(self.now);
            w.int(0);
            w.column32(&numbers[..self.metrics.len()]);
            w.column64(&self.metrics.iter().map(|m| value(m).unwrap_or(f64::NAN)).collect::<Vec<_>>());
            w.column32(&self.metrics.iter().map(|m| value(m).map_or(u32::MAX, |_| self.age_ms)).collect::<Vec<_>>());
            w.column32(&numbers[..self.knobs.len()]);
            w.column64(&self.knobs.iter().map(|k| k.value).collect::<Vec<_>>());
        })
    }

    fn read_analysis(&self, b: &[u8]) -> Episode {
        let mut r = Reader::new(b);
        r.exactly(7);
        r.expect(UINT);
        let act = r.flag();
        let next = Duration::milliseconds(r.uint32() as i64);
        let why = r.text(4096).to_string();
        let ids = r.column32(4096);
        let bounds = r.column64(4096).len() + r.column64(4096).len();
        assert!(r.finish() && bounds == 2 * ids.len(), "the analysis is malformed: {b:?}");
        assert!(ids.iter().all(|id| (id as usize) < self.metrics.len()), "a bound is of no metric");
        Episode { act, why, plan_why: String::new(), next, settings: vec![], context: vec![] }
    }

    fn read_plan(&self, b: &[u8], e: &mut Episode) {
        let mut r = Reader::new(b);
        r.exactly(7);
        r.expect(UINT);
        e.plan_why = r.text(4096).to_string();
        let (mechanisms, verbs, knobs) = (r.column32(4096), r.column32(4096), r.column32(4096));
        let (values, leases) = (r.column64(4096), r.column32(4096));
        assert!(r.finish() && mechanisms.len() == leases.len(), "the plan is malformed: {b:?}");
        for i in 0..knobs.len() {
            let row = (verbs.get(i), knobs.get(i), values.get(i), leases.get(i));
            let (Some(verb), Some(knob), Some(value), Some(lease)) = row else { panic!("the plan is malformed: {b:?}") };
            let knob = self.knobs.get(knob as usize).map_or(String::new(), |k| k.name.clone());
            e.settings.push(Setting { knob, reset: verb == 1, value, lease: Duration::milliseconds(lease as i64) });
        }
    }
}

impl Episode {
    /// Panics unless a plan was asked for, for a reason that contains the text.
    #[track_caller]
    pub fn want_act(&self, why: &str) {
        assert!(self.act && self.why.contains(why), "act is {} because of {:?}; want true because of {why:?}", self.act, self.why);
    }

    /// Panics unless nothing was to be changed, for a reason that contains the text.
    #[track_caller]
    pub fn want_stay(&self, why: &str) {
        assert!(!self.act && self.why.contains(why), "act is {} because of {:?}; want false because of {why:?}", self.act, self.why);
    }

    /// Panics unless the plan sets the knob to the value.
    #[track_caller]
    pub fn want_set(&self, knob: &str, value: f64) {
        let set = self.settings.iter().any(|s| s.knob == knob && !s.reset && s.value == value);
        assert!(set, "the plan does not set {knob} to {value}: {:?}", self.settings);
    }
}

/// One instance of the policy.
struct Guest<P> {
    instance: Box<Instance>,
    policy: Option<P>,
    response: Vec<u8>,
}

impl<P: Policy> Guest<P> {
    fn new() -> Self {
        Guest { instance: Box::new(Instance::new()), policy: None, response: vec![0; WINDOW] }
    }

    fn call(&mut self, op: u32, request: &[u8]) -> Result<Vec<u8>, String> {
        ask(&mut *self.instance, &mut self.policy, op, request, &mut self.response)
    }
}

/// Makes one call, and tells what the host would be told of a failure.
pub(crate) fn ask<G>(i: &mut impl Answers<G>, guest: &mut Option<G>, op: u32, request: &[u8], window: &mut [u8]) -> Result<Vec<u8>, String> {
    let (status, n) = i.call(guest, op, request, window);
    let response = window[..n].to_vec();
    if status == Status::Ok {
        return Ok(response);
    }
    let mut r = Reader::new(&response);
    let (mut code, mut message) = ("", "");
    let mut keys = r.keys();
    while let Some(key) = keys.next(&mut r) {
        match key {
            "code" => code = r.name(),
            "message" => message = r.text(4096),
            _ => r.skip(0),
        }
    }
    Err(format!("{code}: {message}"))
}

/// Encodes a message.
pub(crate) fn write(f: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut b = vec![0; WINDOW];
    let mut w = Writer::new(&mut b);
    f(&mut w);
    let length = w.length;
    assert!(!w.full, "the test declares more than a window holds");
    b.truncate(length);
    b
}
