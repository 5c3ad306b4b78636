//! What the author of a workload uses: code that runs on a device and turns inputs into outputs. It is no policy, which decides about
//! the knobs of a node, and it does no input or output of its own: what comes in and where outputs go is the device's business, set by
//! data routes.
//!
//! ```
//! use edgehold_policy::{export_workload, workload::{Output, Setup, Turn, Value, Workload}};
//!
//! #[derive(Default)]
//! struct Mean {
//!     out: Output,
//!     sum: f64,
//!     n: f64,
//! }
//!
//! impl Workload for Mean {
//!     fn start(&mut self, s: &mut Setup) {
//!         self.out = s.output("mean");
//!     }
//!
//!     fn input(&mut self, t: &mut Turn, v: &Value) {
//!         self.sum += v.number;
//!         self.n += 1.0;
//!         t.emit(self.out, self.sum / self.n);
//!     }
//! }
//!
//! export_workload!(Mean);
//! ```
//!
//! The manifest, policy.yaml, says `kind: workload` and names inputs, outputs, properties, knobs and the tick. What it does not name
//! does not exist.
//!
//! # What lives how long
//!
//! One instance lives from start to stop: fields keep their values. When a method says `fail` the workload goes on, what it emitted is
//! lost, and the device reports it; when it panics, or runs out of fuel or of memory, the device throws it away and starts it anew, less
//! and less often. Knobs that it has turned go back to their defaults then, and when it stops.
//!
//! A module has one page of memory: windows of 4 KiB, and 16 KiB of stack.

mod instance;
mod setup;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod turn;

#[doc(hidden)]
pub use instance::{Instance, WINDOW};
pub use setup::{Input, Knob, Output, Property, Setup};
pub use turn::{Turn, Value};

/// A workload starts, and takes what comes in, or has a look at things from time to time, or both. The value is made anew by
/// [`Default`] at each start.
pub trait Workload: Default {
    /// Finds outputs, properties, knobs and parameters by name. A name that is not there is reported by the set-up itself.
    fn start(&mut self, setup: &mut Setup);
    /// Takes one value of those that came in.
    fn input(&mut self, turn: &mut Turn, _value: &Value) {
        turn.no_input();
    }
    /// Is called as often as the manifest's tick says, or after [`Turn::next`].
    fn tick(&mut self, turn: &mut Turn) {
        turn.no_tick();
    }
    /// Has the last word. The device waits no longer for it than for any call.
    fn stop(&mut self, _turn: &mut Turn) {}
}

/// Makes a type the workload of this module: it defines what the device calls.
#[macro_export]
macro_rules! export_workload {
    ($workload:ty) => {
        $crate::__export!($workload, $crate::workload::Instance, $crate::workload::WINDOW);
    };
}
