//! What a workload is told at its start, and the handles that it looks up there.

use crate::{
    cbor::*,
    host::ask,
    instance::Failure,
    setup::{read_names, Items},
    text,
    text::Part,
    Time,
};

/// Inputs, outputs, properties and knobs that a manifest can name, of each.
const MAX_PORTS: usize = 64;

/// One input, to tell whose a value is. The default is none.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Input(pub(super) u32); // the place in the manifest plus one

/// One output. The default is none.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Output(pub(super) u32); // as above

/// One property of the device. The default is none.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Property(u32); // as above

/// One knob of the device. The default is none.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Knob(u32); // as above

// What the device can be asked, as the ABI numbers it.
pub(super) const READ: u32 = 64;
pub(super) const KNOB_GET: u32 = 65;
pub(super) const KNOB_SET: u32 = 66;

impl Property {
    /// Its value, if it is a number and the device has one now.
    pub fn number(self) -> Option<f64> {
        let mut raw = [0; 8];
        let n = ask(READ, self.0.checked_sub(1)?, "", &mut raw)?;
        (n == raw.len()).then(|| f64::from_le_bytes(raw))
    }

    /// Its value, if that is bytes, the device has some now, and they fit.
    pub fn bytes(self, to: &mut [u8]) -> Option<&[u8]> {
        let n = ask(READ, self.0.checked_sub(1)?, "", to)?;
        to.get(..n)
    }
}

impl Knob {
    /// Where it stands: a choice's name, or a number as text.
    pub fn get(self, to: &mut [u8]) -> Option<&str> {
        let n = ask(KNOB_GET, self.0.checked_sub(1)?, "", to)?;
        utf8(to.get(..n)?)
    }

    /// Turns it to a choice, or to a number as text, and tells whether the device did so.
    pub fn set(self, value: &str) -> bool {
        self.0 > 0 && ask(KNOB_SET, self.0 - 1, value, &mut []).is_some()
    }
}

/// The message that a workload starts with. The texts are its fields.
#[derive(Default)]
pub(super) struct Start<'a> {
    name: &'a str,
    version: &'a str,
    device: &'a str,
    pub time: i64,
    inputs: Items<'a>,
    outputs: Items<'a>,
    properties: Items<'a>,
    knobs: Items<'a>,
    parameters: Column64<'a>,
    parameter_names: Items<'a>,
}

impl<'a> Start<'a> {
    pub fn read(request: &'a [u8]) -> Option<Self> {
        let mut r = Reader::new(request);
        let mut s = Start::default();
        let mut keys = r.keys();
        while let Some(key) = keys.next(&mut r) {
            match key {
                "name" => s.name = r.name(),
                "knobs" => s.knobs = read_names(&mut r, MAX_PORTS),
                "device" => s.device = r.name(),
                "inputs" => s.inputs = read_names(&mut r, MAX_PORTS),
                "outputs" => s.outputs = read_names(&mut r, MAX_PORTS),
                "time_ns" => s.time = r.int64(),
                "version" => s.version = r.name(),
                "parameters" => s.parameters = r.column64(256),
                "properties" => s.properties = read_names(&mut r, MAX_PORTS),
                "parameter_names" => s.parameter_names = read_names(&mut r, 256),
                _ => r.skip(0),
            }
        }
        (r.finish() && s.parameters.len() == s.parameter_names.length as usize).then_some(s)
    }
}

/// Tells [`super::Workload::start`] what there is. A look-up that finds nothing is remembered and fails the start, so results need no
/// check.
pub struct Setup<'a> {
    pub(super) start: Start<'a>,
    pub(super) failure: &'a mut Failure,
}

impl<'a> Setup<'a> {
    /// The workload's own name, from its manifest.
    pub fn name(&self) -> &'a str {
        self.start.name
    }

    /// The workload's own version, from its manifest.
    pub fn version(&self) -> &'a str {
        self.start.version
    }

    /// The endpoint name of the device that it runs on.
    pub fn device(&self) -> &'a str {
        self.start.device
    }

    /// The device's time.
    pub fn time(&self) -> Time {
        Time(self.start.time)
    }

    /// Finds an input.
    pub fn input(&mut self, name: &str) -> Input {
        Input(self.find("input", name, self.start.inputs))
    }

    /// Finds an output.
    pub fn output(&mut self, name: &str) -> Output {
        Output(self.find("output", name, self.start.outputs))
    }

    /// Finds a property of the device.
    pub fn property(&mut self, name: &str) -> Property {
        Property(self.find("property", name, self.start.properties))
    }

    /// Finds a knob of the device.
    pub fn knob(&mut self, name: &str) -> Knob {
        Knob(self.find("knob", name, self.start.knobs))
    }

    /// The value of a parameter: the operator's, or the default.
    pub fn parameter(&mut self, name: &str) -> f64 {
        let place = self.find("parameter", name, self.start.parameter_names);
        place.checked_sub(1).and_then(|i| self.start.parameters.get(i as usize)).unwrap_or(0.0)
    }

    /// Refuses to start, for a reason.
    pub fn fail(&mut self, why: &[&dyn Part]) {
        self.failure.set(super::instance::FAILED, why);
    }

    /// The place of a name plus one; zero where it is none.
    fn find(&mut self, what: &str, name: &str, all: Items) -> u32 {
        let found = all.find(name);
        if found.is_none() {
            self.failure.set("workload.not-found", text!["the manifest has no ", what, " ", name]);
        }
        found.map_or(0, |i| i + 1)
    }
}
