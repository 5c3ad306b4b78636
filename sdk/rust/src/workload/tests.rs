//! What a workload's author gets when things are not as they should be.

use super::{testing::Device, Input, Knob, Output, Property, Setup, Turn, Value, Workload};
use crate::{text, Duration, Part};
use std::{string::String, vec};

/// Gives back what comes in, and does what the numbers say.
#[derive(Default)]
struct Echo {
    input: Input,
    out: Output,
    data: Output,
    knob: Knob,
    name: Property,
}

const MANY: f64 = 65.0;
const FAIL: f64 = -1.0;
const FAIL_LONG: f64 = -2.0;
const NOWHERE: f64 = -3.0;

impl Workload for Echo {
    fn start(&mut self, s: &mut Setup) {
        self.input = s.input("in");
        self.out = s.output("out");
        self.data = s.output("data");
        self.knob = s.knob("TX_PWR");
        self.name = s.property("name");
        if s.parameter("refuse") > 0.0 {
            s.fail(text!["not on ", s.device()]);
        }
    }

    fn input(&mut self, t: &mut Turn, v: &Value) {
        assert!(v.input == self.input);
        if !v.bytes.is_empty() {
            return self.echo(t, v.bytes);
        }
        t.next(Duration::milliseconds(250));
        match v.number {
            FAIL => t.fail(text!["because of ", v.number]),
            FAIL_LONG => t.fail(&[&"é" as &dyn Part; 400]),
            NOWHERE => t.emit(Output::default(), 1.0),
            n => (0..n as usize).for_each(|i| t.emit(self.out, i as f64)),
        }
    }
}

impl Echo {
    fn echo(&self, t: &mut Turn, bytes: &[u8]) {
        let mut b = [0; 16];
        t.emit_bytes(self.data, bytes);
        t.emit_bytes(self.data, self.knob.get(&mut b).unwrap_or("?").as_bytes());
        t.emit_bytes(self.data, self.name.bytes(&mut b).unwrap_or(b"?"));
        if !self.knob.set("LOW") || self.name.number().is_some() {
            t.fail(text!["the knob did not turn, or bytes are a number"]);
        }
    }
}

fn device() -> Device<Echo> {
    let mut d = Device::new();
    d.input("in");
    d.output("out");
    d.output("data");
    d.knob("TX_PWR", "HIGH");
    d.property_bytes("name", Some(b"lamp"));
    d.parameter("refuse", 0.0);
    d
}

#[test]
fn bytes_and_knobs() {
    let mut d = device();
    d.start();
    let e = d.receive_bytes("in", b"hallo");
    let got: vec::Vec<_> = e.bytes.iter().map(|(name, b)| (name.as_str(), b.as_slice())).collect();
    assert_eq!(got, [("data", &b"hallo"[..]), ("data", b"HIGH"), ("data", b"lamp")]);
    assert_eq!(d.knob_value("TX_PWR"), "LOW");
    d.property_bytes("name", Some(b"longer than sixteen"));
    assert_eq!(d.receive_bytes("in", b"x").bytes[2].1, b"?");
}

#[test]
fn bounds_and_failures() {
    let mut d = device();
    d.start();
    let e = d.receive("in", 64.0);
    assert_eq!((e.numbers.len(), e.next), (64, Duration::milliseconds(250)));
    let failure = |d: &mut Device<Echo>, n| d.attempt("in", n).unwrap_err();
    assert!(failure(&mut d, MANY).starts_with("workload.too-many: "));
    assert_eq!(failure(&mut d, FAIL), "workload.failed: because of -1");
    assert_eq!(failure(&mut d, FAIL_LONG).len(), "workload.failed: ".len() + 512);
    assert!(failure(&mut d, NOWHERE).contains("not found at the start"));
    d.receive("in", 1.0).want("out", 0.0); // and it goes on
}

#[test]
fn starts_that_fail() {
    let refusal = |d: &mut Device<Echo>| -> String { d.attempt_start().unwrap_err() };
    let mut d = Device::new();
    d.input("in");
    assert_eq!(refusal(&mut d), "workload.not-found: the manifest has no output out");
    assert!(d.attempt("in", 1.0).unwrap_err().starts_with("workload.not-started: "));
    let mut d = Device::new();
    d.parameter("refuse", 1.0);
    d.output("out");
    d.output("data");
    d.input("in");
    d.knob("TX_PWR", "HIGH");
    d.property("name", None);
    assert_eq!(refusal(&mut d), "workload.failed: not on test-device");
}

#[test]
#[should_panic(expected = ": ")]
fn ticks_without_a_method() {
    let mut d = device();
    d.start();
    d.tick();
}
