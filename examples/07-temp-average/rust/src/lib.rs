//! The moving average of ../workload.go in Rust: the same outputs for the same inputs.
#![no_std]

use edgehold_policy::{
    export_workload,
    workload::{Output, Property, Setup, Turn, Value, Workload},
};

/// The manifest's bound of the parameter.
const MAX_WINDOW: usize = 64;

/// What lasts from start to stop.
pub struct Average {
    temperature: Property,
    out: Output,

    readings: [f64; MAX_WINDOW],
    window: usize,
    seen: usize, // of all time
}

impl Default for Average {
    fn default() -> Self {
        Average { temperature: Property::default(), out: Output::default(), readings: [0.0; MAX_WINDOW], window: 1, seen: 0 }
    }
}

impl Workload for Average {
    fn start(&mut self, s: &mut Setup) {
        self.temperature = s.property("temperature");
        self.out = s.output("temp_avg");
        self.window = s.parameter("window") as usize;
    }

    fn input(&mut self, t: &mut Turn, v: &Value) {
        self.add(t, v.number);
    }

    /// Takes the sensor's value; a device without one averages what comes in.
    fn tick(&mut self, t: &mut Turn) {
        if let Some(v) = self.temperature.number() {
            self.add(t, v);
        }
    }
}

impl Average {
    /// What could be out of bounds is asked for with get: a panic that tells a number is a fifth of the module.
    fn add(&mut self, t: &mut Turn, v: f64) {
        if let Some(r) = self.readings.get_mut(self.seen % self.window) {
            *r = v;
        }
        self.seen += 1;
        let n = self.seen.min(self.window);
        t.emit(self.out, self.readings.iter().take(n).sum::<f64>() / n as f64);
    }
}

export_workload!(Average);
