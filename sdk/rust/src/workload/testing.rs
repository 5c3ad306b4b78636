//! Runs a workload in plain `cargo test`, without Wasm and without a device. A [`Device`] speaks the same calls and bytes as the real
//! one; it has no clock of its own, and no routes.
//!
//! ```no_run
//! # use edgehold_policy::workload::{*, testing::Device};
//! # #[derive(Default)] struct Mean;
//! # impl Workload for Mean { fn start(&mut self, _: &mut Setup) {} }
//! let mut d = Device::<Mean>::new();
//! d.input("value");
//! d.output("mean");
//! d.property("temperature", Some(21.5));
//! d.start();
//!
//! d.receive("value", 20.0).want("mean", 20.0);
//! d.tick().want("mean", 20.75);
//! ```

use super::{
    instance::{INPUT, START, STOP, TICK, WINDOW},
    setup::{KNOB_GET, KNOB_SET, READ},
    Instance, Workload,
};
use crate::{
    cbor::*,
    testing::{ask, write},
    Duration, Status, Time,
};
use std::{
    boxed::Box,
    cell::RefCell,
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// What a workload can ask of its device: properties and knobs, each by its place.
#[derive(Default)]
struct Panel {
    properties: Vec<Option<Vec<u8>>>,
    knobs: Vec<String>,
}

std::thread_local! {
    /// That of the device whose workload is being called.
    static PANEL: RefCell<Panel> = RefCell::default();
}

/// Answers as the device does.
pub(crate) fn answer(op: u32, request: &[u8], out: &mut [u8]) -> u64 {
    let (place, value) = request.split_first_chunk().expect("a place comes first");
    let place = u32::from_le_bytes(*place) as usize;
    PANEL.with_borrow_mut(|p| match op {
        READ => p.properties.get(place).cloned().flatten(),
        KNOB_GET => p.knobs.get(place).map(|k| k.clone().into_bytes()),
        KNOB_SET => p.knobs.get_mut(place).map(|k| {
            *k = String::from_utf8_lossy(value).to_string();
            vec![]
        }),
        _ => None,
    })
    .map_or((Status::Invalid as u64) << 32, |answer| {
        copy(out, &answer);
        answer.len() as u64
    })
}

/// The device of one workload. Declare what its manifest names before the start.
pub struct Device<W> {
    instance: Box<Instance>,
    workload: Option<W>,
    window: Vec<u8>,
    panel: Panel,
    inputs: Vec<String>,
    outputs: Vec<String>,
    properties: Vec<String>,
    knobs: Vec<String>,
    parameters: Vec<(String, f64)>,
    now: i64,
}

/// What one turn gave, by the names of the outputs.
#[derive(Debug, PartialEq)]
pub struct Emitted {
    /// Of type number.
    pub numbers: Vec<(String, f64)>,
    /// Of type bytes.
    pub bytes: Vec<(String, Vec<u8>)>,
    /// When the next tick is to come; zero: the manifest's holds.
    pub next: Duration,
}

impl Emitted {
    /// Panics unless the output's last value is this.
    #[track_caller]
    pub fn want(&self, output: &str, value: f64) {
        let last = self.numbers.iter().rev().find(|(name, _)| name == output);
        assert!(last.is_some_and(|(_, v)| *v == value), "want {output} to be {value}: {self:?}");
    }

    /// Panics if there is anything.
    #[track_caller]
    pub fn want_nothing(&self) {
        assert!(self.numbers.is_empty() && self.bytes.is_empty(), "want nothing: {self:?}");
    }
}

impl<W: Workload> Default for Device<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Workload> Device<W> {
    /// A device at noon, with nothing declared.
    pub fn new() -> Self {
        Device {
            instance: Box::new(Instance::new()),
            workload: None,
            window: vec![0; WINDOW],
            panel: Panel::default(),
            inputs: vec![],
            outputs: vec![],
            properties: vec![],
            knobs: vec![],
            parameters: vec![],
            now: 1_767_268_800_000_000_000,
        }
    }

    /// Declares an input.
    pub fn input(&mut self, name: &str) {
        self.inputs.push(name.to_string());
    }

    /// Declares an output.
    pub fn output(&mut self, name: &str) {
        self.outputs.push(name.to_string());
    }

    /// Declares a property, or changes its value; none where the device has no such sensor.
    pub fn property(&mut self, name: &str, value: Option<f64>) {
        self.property_bytes(name, value.map(f64::to_le_bytes).as_ref().map(|b| &b[..]));
    }

    /// As [`Device::property`], for one of type bytes.
    pub fn property_bytes(&mut self, name: &str, value: Option<&[u8]>) {
        let value = value.map(<[u8]>::to_vec);
        match self.properties.iter().position(|p| p == name) {
            Some(i) => self.panel.properties[i] = value,
            None => {
                self.properties.push(name.to_string());
                self.panel.properties.push(value);
            }
        }
    }

    /// Declares a knob with its position.
    pub fn knob(&mut self, name: &str, value: &str) {
        self.knobs.push(name.to_string());
        self.panel.knobs.push(value.to_string());
    }

    /// Where a knob stands.
    pub fn knob_value(&self, name: &str) -> &str {
        &self.panel.knobs[place(&self.knobs, name)]
    }

    /// Declares a parameter with its value.
    pub fn parameter(&mut self, name: &str, value: f64) {
        self.parameters.push((name.to_string(), value));
    }

    /// Moves the clock.
    pub fn advance(&mut self, d: Duration) {
        self.now += d.0;
    }

    /// The time that the next turn is told.
    pub fn time(&self) -> Time {
        Time(self.now)
    }

    /// Starts the workload. One that fails fails the test.
    pub fn start(&mut self) {
        self.attempt_start().unwrap_or_else(|e| panic!("{e}"))
    }

    /// As [`Device::start`], for workloads that are expected to fail: with what the device would be told.
    pub fn attempt_start(&mut self) -> Result<(), String> {
        let request = self.start_message();
        self.turn(START, &request).map(|_| ())
    }

    /// Hands a number to an input.
    pub fn receive(&mut self, input: &str, value: f64) -> Emitted {
        self.attempt(input, value).unwrap_or_else(|e| panic!("{e}"))
    }

    /// As [`Device::receive`], for workloads that are expected to fail: with what the device would be told.
    pub fn attempt(&mut self, input: &str, value: f64) -> Result<Emitted, String> {
        let request = self.batch(&[place(&self.inputs, input) as u32], &[value], &[], &[]);
        self.turn(INPUT, &request)
    }

    /// Hands bytes to an input.
    pub fn receive_bytes(&mut self, input: &str, value: &[u8]) -> Emitted {
        let request = self.batch(&[], &[], &[place(&self.inputs, input) as u32], &[value]);
        self.turn(INPUT, &request).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Ticks once.
    pub fn tick(&mut self) -> Emitted {
        let request = self.batch(&[], &[], &[], &[]);
        self.turn(TICK, &request).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Stops the workload.
    pub fn stop(&mut self) -> Emitted {
        self.turn(STOP, &[]).unwrap_or_else(|e| panic!("{e}"))
    }

    fn turn(&mut self, op: u32, request: &[u8]) -> Result<Emitted, String> {
        PANEL.set(core::mem::take(&mut self.panel));
        let response = ask(&mut *self.instance, &mut self.workload, op, request, &mut self.window);
        self.panel = PANEL.take();
        Ok(self.read(&response?))
    }

    fn start_message(&self) -> Vec<u8> {
        fn names<'a>(w: &mut Writer, key: &str, names: impl ExactSizeIterator<Item = &'a String>) {
            w.text(key);
            w.head(ARRAY, names.len() as u64);
            names.for_each(|n| w.text(n));
        }
        write(|w| {
            w.head(MAP, 9);
            w.text("name");
            w.text("test");
            names(w, "knobs", self.knobs.iter());
            w.text("device");
            w.text("test-device");
            names(w, "inputs", self.inputs.iter());
            names(w, "outputs", self.outputs.iter());
            w.text("time_ns");
            w.int(self.now);
            w.text("parameters");
            w.column64(&self.parameters.iter().map(|p| p.1).collect::<Vec<_>>());
            names(w, "properties", self.properties.iter());
            names(w, "parameter_names", self.parameters.iter().map(|p| &p.0));
        })
    }

    fn batch(&self, ids: &[u32], values: &[f64], data_ids: &[u32], data: &[&[u8]]) -> Vec<u8> {
        write(|w| {
            w.head(ARRAY, 5);
            w.int(self.now);
            w.column32(ids);
            w.column64(values);
            w.column32(data_ids);
            w.head(ARRAY, data.len() as u64);
            data.iter().for_each(|b| w.bytes(b));
        })
    }

    fn read(&self, b: &[u8]) -> Emitted {
        let mut r = Reader::new(b);
        r.exactly(5);
        let next = Duration::milliseconds(r.uint32() as i64);
        let (ids, values, data_ids) = (r.column32(64), r.column64(64), r.column32(64));
        let data: Vec<_> = (0..r.list(64)).map(|_| r.bytes(WINDOW).to_vec()).collect();
        assert!(r.finish() && ids.len() == values.len() && data_ids.len() == data.len(), "the emission is malformed: {b:?}");
        let name = |id: u32| self.outputs[id as usize].clone();
        Emitted { numbers: ids.iter().map(name).zip(values.iter()).collect(), bytes: data_ids.iter().map(name).zip(data).collect(), next }
    }
}

fn place(all: &[String], name: &str) -> usize {
    all.iter().position(|n| n == name).unwrap_or_else(|| panic!("the test declares no {name}"))
}
