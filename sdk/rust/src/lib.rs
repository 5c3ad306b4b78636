//! What the author of an Edgehold policy in Rust uses. It is neither a client of the daemon nor a way to do input and output: a
//! policy gets an observation and answers with a verdict and a plan. Code for a device, which turns inputs into outputs, has
//! [`workload`].
//!
//! ```
//! use edgehold_policy::{export_policy, text, Duration, Knobs, Metric, Observation, Plan, Policy, Setup, Verdict};
//!
//! #[derive(Default)]
//! struct Boost {
//!     load: Metric,
//!     limits: Knobs,
//! }
//!
//! impl Policy for Boost {
//!     fn initialize(&mut self, s: &mut Setup) {
//!         self.load = s.metric("node_load1");
//!         self.limits = s.knobs("CPUFrequency", "*/max_frequency");
//!     }
//!
//!     fn analyze(&mut self, o: &Observation, v: &mut Verdict) {
//!         match o.value(self.load) {
//!             Some(load) if load > 2.0 => v.act(text!["load ", load, " is above 2"]),
//!             _ => v.stay(text!["the load is low"]),
//!         };
//!     }
//!
//!     fn plan(&mut self, _: &Observation, p: &mut Plan) {
//!         p.set_max(self.limits).lease(Duration::seconds(30));
//!     }
//! }
//!
//! export_policy!(Boost);
//! ```
//!
//! # What lives how long
//!
//! The order of calls is: `initialize`; `load`, if something was saved; `analyze`; `plan`, if the verdict says so; `save`. That is one
//! episode. The host runs **every episode in a fresh instance**: fields start over each time, and only what [`Policy::save`] puts into
//! the [`State`] is there at the next [`Policy::load`]. Time is the observation's and stands still.
//!
//! # Failing
//!
//! A look-up that finds nothing, a plan that can't be meant, `fail` and a panic end the episode; nothing is applied, and the host
//! counts it against this version of the policy.
//!
//! The crate uses no standard library and allocates nothing. On other targets than Wasm there is [`testing`] as well.
#![no_std]
#![warn(missing_docs)]

#[cfg(not(target_arch = "wasm32"))]
extern crate std;

mod cbor;
mod host;
mod instance;
mod observation;
mod plan;
mod setup;
mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod text;
mod time;
#[cfg(test)]
mod vectors;
mod verdict;
pub mod workload;

#[doc(hidden)]
pub use host::{Answers, Registered, Windows};
pub use host::{log, warn};
#[doc(hidden)]
pub use instance::{Instance, Status, WINDOW};
pub use observation::Observation;
pub use plan::{Plan, Settings};
pub use setup::{Knob, KnobInfo, Knobs, Mechanism, Metric, Setup};
pub use state::State;
pub use text::{Part, Quantity};
pub use time::{Duration, Time};
pub use verdict::Verdict;

/// A policy decides. The value is made anew by [`Default`] for each episode.
pub trait Policy: Default {
    /// Resolves what the policy needs by name. A name that is not there is reported by the set-up itself.
    fn initialize(&mut self, setup: &mut Setup);
    /// Says whether a plan is needed, with [`Verdict::act`] or [`Verdict::stay`].
    fn analyze(&mut self, observation: &Observation, verdict: &mut Verdict);
    /// Fills the plan. It sees the same observation as `analyze`.
    fn plan(&mut self, observation: &Observation, plan: &mut Plan);
    /// Whether the policy remembers, that is, has the next two methods.
    const STATEFUL: bool = false;
    /// Puts what the next episode needs.
    fn save(&self, _: &mut State) {}
    /// Gets it back, after `initialize`. It is not called when nothing has been saved yet.
    fn load(&mut self, _: &State) {}
    /// Whether the policy understands the state of older versions of itself, and has the next method.
    const MIGRATES: bool = false;
    /// Rewrites a state of an older schema, one that policy.yaml lists under `migrates_from`, into today's.
    fn migrate(&mut self, _from: u32, _: &mut State) {}
}

/// Makes a type the policy of this module: it defines what the host calls.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        $crate::__export!($policy, $crate::Instance, $crate::WINDOW);
    };
}
