//! What a policy is told before its first observation, and the handles that it looks up there.

use crate::{
    cbor::*,
    instance::Failure,
    text,
    text::Part,
};

/// One value of the observations. The default never has a value.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Metric(pub(crate) u32); // the id plus one

/// One that the policy may plan with. The default is none.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Mechanism(pub(crate) u32); // the id plus one

/// One granted knob. The default can't be set.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Knob(pub(crate) u32); // the id plus one

/// The granted knobs of a mechanism whose names match a pattern. Nothing is copied, so there may be any number.
#[derive(Clone, Copy, Default, Debug)]
pub struct Knobs {
    mechanism: Mechanism,
    pattern: &'static str,
}

/// What is known of a knob.
#[derive(Clone, Copy)]
pub struct KnobInfo<'a> {
    /// Its name within its mechanism, for example "policy0/max_frequency".
    pub name: &'a str,
    /// The unit of its values, for example "Hz".
    pub unit: &'a str,
    pub(crate) id: u32,
    pub(crate) mechanism: u32,
    least: f64,
    most: f64,
    table: Column64<'a>,
    choices: Items<'a>,
}

impl<'a> KnobInfo<'a> {
    /// The handle of this knob.
    pub fn knob(&self) -> Knob {
        Knob(self.id + 1)
    }

    /// The smallest and the greatest value that can be set, if it has a range.
    pub fn range(&self) -> Option<(f64, f64)> {
        if self.table.len() == 0 {
            return (self.least <= self.most).then_some((self.least, self.most));
        }
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in self.table.iter() {
            if v.is_nan() {
                return Some((v, v));
            }
            if v < least {
                least = v;
            }
            if v > most {
                most = v;
            }
        }
        Some((least, most))
    }

    /// The only values that can be set, when there are only some.
    pub fn values(&self) -> impl Iterator<Item = f64> + 'a {
        let table = self.table;
        (0..table.len()).filter_map(move |i| table.get(i))
    }

    /// The names that [`crate::Plan::choose`] takes, when the knob is a choice.
    pub fn choices(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.choices.names()
    }
}

/// A list inside the init message, which is walked when something is looked up.
#[derive(Clone, Copy, Default)]
pub(crate) struct Items<'a> {
    bytes: &'a [u8],
    pub length: u32,
}

impl<'a> Items<'a> {
    /// Reads a list of at most that many items, each by f.
    pub fn read(r: &mut Reader<'a>, most: usize, f: fn(&mut Reader<'a>)) -> Self {
        let length = r.list(most);
        let from = *r;
        for _ in 0..length {
            if r.bad {
                break;
            }
            f(r);
        }
        if r.bad {
            return Items::default();
        }
        Items { bytes: r.since(&from), length }
    }

    pub fn reader(self) -> Reader<'a> {
        Reader::new(self.bytes)
    }

    fn names(self) -> Names<'a> {
        Names { r: self.reader(), left: self.length }
    }

    pub fn find(self, name: &str) -> Option<u32> {
        let mut r = self.reader();
        for i in 0..self.length {
            if r.name() == name {
                return Some(i);
            }
        }
        None
    }
}

// The walks are spelt out: core's adapters are made anew for each use, and a module is small.

/// Walks a list of names.
pub(crate) struct Names<'a> {
    r: Reader<'a>,
    left: u32,
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        Some(self.r.name())
    }
}

/// Walks a selection of knobs.
pub(crate) struct Selected<'a> {
    r: Reader<'a>,
    next: u32,
    length: u32,
    mechanism: Option<u32>,
    pattern: &'a str, // empty: all
}

impl<'a> Iterator for Selected<'a> {
    type Item = KnobInfo<'a>;

    fn next(&mut self) -> Option<KnobInfo<'a>> {
        while self.next < self.length {
            let k = read_knob(&mut self.r, self.next);
            self.next += 1;
            let all = self.pattern.is_empty();
            if self.mechanism == Some(k.mechanism) && (all || matches(self.pattern.as_bytes(), k.name.as_bytes())) {
                return Some(k);
            }
        }
        None
    }
}

/// Where the knobs lie in the init message: what has to be known of it after the initialisation.
#[derive(Clone, Copy)]
pub(crate) struct KnobsAt {
    from: usize,
    to: usize,
    length: u32,
}

impl KnobsAt {
    pub const NONE: KnobsAt = KnobsAt { from: 0, to: 0, length: 0 };

    /// An init message that has these knobs and nothing else.
    pub fn of<'a>(&self, message: &'a [u8]) -> Init<'a> {
        let bytes = message.get(self.from..self.to).unwrap_or(&[]);
        Init { knobs: Items { bytes, length: self.length }, ..Init::default() }
    }
}

/// The init message. The texts are its fields.
#[derive(Clone, Copy, Default)]
pub(crate) struct Init<'a> {
    message: &'a [u8],
    metrics: Items<'a>,
    mechanisms: Items<'a>,
    knobs: Items<'a>,
    parameters: Column64<'a>,
    parameter_names: Items<'a>,
    pub context: &'a [u8],
}

impl<'a> Init<'a> {
    /// Reads the message, all of which is checked here; look-ups walk it again.
    pub fn read(b: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(b);
        let mut init = Init { message: b, ..Init::default() };
        let mut keys = r.keys();
        while let Some(key) = keys.next(&mut r) {
            init.field(key, &mut r);
        }
        (r.finish() && init.parameters.len() == init.parameter_names.length as usize).then_some(init)
    }

    /// The reader at a field that policies seldom ask for.
    fn seldom(&self, field: &str) -> Option<Reader<'a>> {
        let mut r = Reader::new(self.message);
        let mut keys = r.keys();
        while let Some(key) = keys.next(&mut r) {
            if key == field {
                return Some(r);
            }
            r.skip(0);
        }
        None
    }

    fn text(&self, field: &str) -> &'a str {
        self.seldom(field).map_or("", |mut r| r.name())
    }

    #[cfg(test)]
    pub(crate) fn dump(&self, t: &mut crate::vectors::Tokens) {
        fn names(t: &mut crate::vectors::Tokens, items: Items) {
            t.number(items.length);
            items.names().for_each(|n| t.bytes(n));
        }
        for field in ["policy", "version", "scope", "asset", "layer"] {
            t.bytes(self.text(field));
        }
        names(t, self.seldom("features").map_or(Items::default(), |mut r| read_names(&mut r, 64)));
        t.number(self.metrics.length);
        let mut r = self.metrics.reader();
        for _ in 0..self.metrics.length {
            let (name, labels) = read_metric(&mut r);
            t.bytes(name);
            t.number(labels.length);
            let mut r = labels.reader();
            for _ in 0..labels.length {
                let (name, value) = read_label(&mut r);
                t.bytes(name);
                t.bytes(value);
            }
        }
        names(t, self.mechanisms);
        t.number(self.knobs.length);
        let mut r = self.knobs.reader();
        for id in 0..self.knobs.length {
            let k = read_knob(&mut r, id);
            t.bytes(k.name);
            t.bytes(k.unit);
            t.number(k.mechanism);
            t.float(k.least);
            t.float(k.most);
            t.number(k.table.len());
            k.table.iter().for_each(|v| t.float(v));
            names(t, k.choices);
        }
        t.number(self.parameters.len());
        self.parameters.iter().for_each(|v| t.float(v));
        names(t, self.parameter_names);
        t.bytes(self.context);
    }

    fn field(&mut self, key: &str, r: &mut Reader<'a>) {
        match key {
            "knobs" => self.knobs = Items::read(r, MAX_KNOBS, |r| _ = read_knob(r, 0)),
            "context" => self.context = r.bytes(MAX_CONTEXT),
            "metrics" => self.metrics = Items::read(r, MAX_METRICS, |r| _ = read_metric(r)),
            "mechanisms" => self.mechanisms = read_names(r, 64),
            "parameters" => self.parameters = r.column64(256),
            "parameter_names" => self.parameter_names = read_names(r, 256),
            _ => r.skip(0),
        }
    }

    /// Where the knobs lie in the message that this was read from.
    pub fn knobs_at(&self, message: &[u8]) -> KnobsAt {
        let from = (self.knobs.bytes.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
        KnobsAt { from, to: from.wrapping_add(self.knobs.bytes.len()), length: self.knobs.length }
    }

    /// The knobs of a selection.
    pub fn knobs(self, selection: Knobs) -> Selected<'a> {
        self.select(selection.mechanism.0.checked_sub(1), selection.pattern)
    }

    fn select(self, mechanism: Option<u32>, pattern: &'a str) -> Selected<'a> {
        Selected { r: self.knobs.reader(), next: 0, length: self.knobs.length, mechanism, pattern }
    }

    /// What is known of one knob.
    pub fn knob(self, k: Knob) -> Option<KnobInfo<'a>> {
        let id = k.0.checked_sub(1)?;
        if id >= self.knobs.length {
            return None;
        }
        let mut r = self.knobs.reader();
        for _ in 0..id {
            r.skip(0);
        }
        Some(read_knob(&mut r, id))
    }
}

pub(crate) fn read_names<'a>(r: &mut Reader<'a>, most: usize) -> Items<'a> {
    Items::read(r, most, |r| _ = r.name())
}

fn read_metric<'a>(r: &mut Reader<'a>) -> (&'a str, Items<'a>) {
    let (mut name, mut labels) = ("", Items::default());
    let mut keys = r.keys();
    while let Some(key) = keys.next(r) {
        match key {
            "name" => name = r.name(),
            "labels" => labels = Items::read(r, 32, |r| _ = read_label(r)),
            _ => r.skip(0),
        }
    }
    (name, labels)
}

fn has_label(labels: Items, want: (&str, &str)) -> bool {
    let mut r = labels.reader();
    (0..labels.length).any(|_| read_label(&mut r) == want)
}

fn read_label<'a>(r: &mut Reader<'a>) -> (&'a str, &'a str) {
    r.exactly(2);
    (r.name(), r.name())
}

fn read_knob<'a>(r: &mut Reader<'a>, id: u32) -> KnobInfo<'a> {
    let mut k = KnobInfo {
        name: "",
        unit: "",
        id,
        mechanism: 0,
        least: f64::NAN,
        most: f64::NAN,
        table: Column64::default(),
        choices: Items::default(),
    };
    let mut keys = r.keys();
    while let Some(key) = keys.next(r) {
        match key {
            "max" => k.most = r.float(),
            "min" => k.least = r.float(),
            "name" => k.name = r.name(),
            "unit" => k.unit = r.name(),
            "table" => k.table = r.column64(MAX_CHOICES),
            "choices" => k.choices = read_names(r, MAX_CHOICES),
            "mechanism" => k.mechanism = r.uint32(),
            _ => r.skip(0),
        }
    }
    k
}

/// In a pattern * stands for any text without a slash, and ? for one byte that is not a slash.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None; // the pattern after the last star, and what it has not taken
    loop {
        match (p, n) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, n));
                p = rest;
            }
            ([], []) => return true,
            ([a, ps @ ..], [b, ns @ ..]) if a == b || *a == b'?' && *b != b'/' => (p, n) = (ps, ns),
            _ => match star {
                Some((rest, [b, ns @ ..])) if *b != b'/' => {
                    star = Some((rest, ns));
                    (p, n) = (rest, ns);
                }
                _ => return false,
            },
        }
    }
}

/// Tells [`crate::Policy::initialize`] what there is. A look-up that finds nothing is remembered and fails the initialisation with
/// a message that lists what there would be, so results need no check.
pub struct Setup<'a> {
    pub(crate) init: Init<'a>,
    pub(crate) failure: &'a mut Failure,
}

impl<'a> Setup<'a> {
    /// The policy's own name, from its manifest.
    pub fn policy(&self) -> &'a str {
        self.init.text("policy")
    }

    /// The policy's own version, from its manifest.
    pub fn version(&self) -> &'a str {
        self.init.text("version")
    }

    /// What this instance decides for: the node's or the application's name.
    pub fn asset(&self) -> &'a str {
        self.init.text("asset")
    }

    /// "node" or "application".
    pub fn scope(&self) -> &'a str {
        self.init.text("scope")
    }

    /// "node", "cluster" or "continuum".
    pub fn layer(&self) -> &'a str {
        self.init.text("layer")
    }

    /// Whether the host offers an optional feature.
    pub fn has(&self, feature: &str) -> bool {
        self.init.seldom("features").is_some_and(|mut r| read_names(&mut r, 64).find(feature).is_some())
    }

    /// Finds a metric of policy.yaml.
    pub fn metric(&mut self, name: &str) -> Metric {
        self.find_metric(name, |_| true)
    }

    /// Finds a metric of policy.yaml that has these labels and values.
    pub fn labelled(&mut self, name: &str, labels: &[(&str, &str)]) -> Metric {
        self.find_metric(name, |have| labels.iter().all(|want| has_label(have, *want)))
    }

    fn find_metric(&mut self, name: &str, fits: impl Fn(Items) -> bool) -> Metric {
        let all = self.init.metrics;
        let mut r = all.reader();
        for id in 0..all.length {
            let (n, labels) = read_metric(&mut r);
            if n == name && fits(labels) {
                return Metric(id + 1);
            }
        }
        let mut r = all.reader();
        self.missing("metric", name, all.length, &mut || Some(read_metric(&mut r).0), "list it under metrics in policy.yaml");
        Metric(0)
    }

    /// Finds a granted mechanism.
    pub fn mechanism(&mut self, name: &str) -> Mechanism {
        let all = self.init.mechanisms;
        if let Some(id) = all.find(name) {
            return Mechanism(id + 1);
        }
        self.missing_name("mechanism", name, all, "list it under mechanisms in policy.yaml, and have it granted");
        Mechanism(0)
    }

    fn every(&self, mechanism: &str) -> Selected<'a> {
        self.init.select(self.init.mechanisms.find(mechanism), "")
    }

    fn missing_knob(&mut self, mechanism: &str, name: &str, hint: &str) {
        let mut have = self.every(mechanism);
        self.missing("knob", name, u32::MAX, &mut || have.next().map(|k| k.name), hint);
    }

    /// Finds one granted knob by its exact name.
    pub fn knob(&mut self, mechanism: &str, name: &str) -> Knob {
        for k in self.every(mechanism) {
            if k.name == name {
                return k.knob();
            }
        }
        self.missing_knob(mechanism, name, "grant it, or ask by pattern with knobs");
        Knob(0)
    }

    /// Finds the granted knobs that match a pattern, in which * stands for any text without a slash and ? for one byte. There is at
    /// least one, or the initialisation fails.
    pub fn knobs(&mut self, mechanism: &str, pattern: &'static str) -> Knobs {
        let found = self.init.mechanisms.find(mechanism);
        if self.init.select(found, pattern).next().is_none() {
            self.missing_knob(mechanism, pattern, "grant some, or change the pattern");
        }
        Knobs { mechanism: Mechanism(found.map_or(0, |id| id + 1)), pattern }
    }

    /// What is known of the knobs of a selection.
    pub fn each(&self, knobs: Knobs) -> impl Iterator<Item = KnobInfo<'a>> + use<'a> {
        self.init.knobs(knobs)
    }

    /// What is known of a knob.
    pub fn info(&self, knob: Knob) -> Option<KnobInfo<'a>> {
        self.init.knob(knob)
    }

    /// The value of a parameter of policy.yaml: the operator's, or the default.
    pub fn parameter(&mut self, name: &str) -> f64 {
        let all = self.init.parameter_names;
        if let Some(value) = all.find(name).and_then(|id| self.init.parameters.get(id as usize)) {
            return value;
        }
        self.missing_name("parameter", name, all, "list it under parameters in policy.yaml");
        0.0
    }

    /// Ends the episode for a reason.
    pub fn fail(&mut self, why: &[&dyn Part]) {
        self.failure.set("policy.failed", why);
    }

    fn missing_name(&mut self, what: &str, name: &str, have: Items<'a>, hint: &str) {
        let mut r = have.reader();
        self.missing(what, name, have.length, &mut || Some(r.name()), hint);
    }

    /// Remembers the first failed look-up, and tells what there is instead.
    fn missing(&mut self, what: &str, name: &str, have: u32, next: &mut dyn FnMut() -> Option<&'a str>, hint: &str) {
        let Some(message) = self.failure.begin("policy.not-found") else { return };
        message.set(text!["there is no ", what, " ", name, "; "]);
        let mut told = 0;
        while told < have.min(13) {
            let Some(other) = next() else { break };
            message.str(if told > 0 { ", " } else { "there is " });
            message.str(if told < 12 { other } else { "..." });
            told += 1;
        }
        if told == 0 {
            message.str("there is none at all");
        }
        message.str(": ");
        message.str(hint);
    }
}
