//! The policy of ../policy.go in Rust: it raises the CPU's frequency limit while the node is busy, and lowers it when the node has
//! been calm for a while.
#![no_std]

use edgehold_policy::{
    export_policy, text, Duration, Knobs, Metric, Observation, Part, Plan, Policy, Setup, State, Time, Verdict,
};

/// So that the limits fall back should the policy be removed.
const LEASE: Duration = Duration::seconds(30);

/// An older value says nothing about now.
const STALE: Duration = Duration::seconds(15);

// Modes that the policy is in; they last from one episode to the next.
const NONE: i64 = 0; // nothing decided yet: the knobs are as we found them
const BOOST: i64 = 1;
const SAVE: i64 = 2;

/// What the policy knows during an episode.
#[derive(Default)]
pub struct Boost {
    busy: Metric,
    limits: Knobs,
    high: f64,
    low: f64,
    calm: Duration,

    mode: i64,
    calm_since: Option<Time>,
}

impl Policy for Boost {
    fn initialize(&mut self, s: &mut Setup) {
        self.busy = s.metric("node_cpu_utilisation_ratio");
        self.limits = s.knobs("CPUFrequency", "*/max_frequency");
        self.high = s.parameter("high");
        self.low = s.parameter("low");
        self.calm = Duration::from_seconds(s.parameter("calm"));
    }

    fn analyze(&mut self, o: &Observation, v: &mut Verdict) {
        let Some(busy) = o.fresh(self.busy, STALE) else {
            v.stay(text!["there is no fresh utilisation"]);
            return;
        };
        if busy > self.high {
            self.mode = BOOST;
            self.calm_since = None;
            v.act(text!["utilisation ", busy, " is above ", self.high]).wake_below(self.busy, self.low);
        } else if busy >= self.low {
            self.calm_since = None;
            self.hold(v, text!["utilisation ", busy, " is between ", self.low, " and ", self.high]);
        } else {
            self.calm_down(o.time(), busy, v);
        }
    }

    fn plan(&mut self, _: &Observation, p: &mut Plan) {
        let settings = if self.mode == BOOST { p.set_max(self.limits) } else { p.set_min(self.limits) };
        settings.lease(LEASE);
    }

    const STATEFUL: bool = true;

    fn save(&self, s: &mut State) {
        s.put_int("mode", self.mode);
        s.put_time("calm_since", self.calm_since);
    }

    fn load(&mut self, s: &State) {
        self.mode = s.int("mode");
        self.calm_since = s.time("calm_since");
    }
}

impl Boost {
    /// Lowers the limits once the node has been calm for long enough.
    fn calm_down(&mut self, now: Time, busy: f64, v: &mut Verdict) {
        let calm = now.since(*self.calm_since.get_or_insert(now));
        if calm < self.calm {
            self.hold(v, text!["utilisation ", busy, " is below ", self.low, " for ", calm, " of ", self.calm]);
            v.next(self.calm - calm);
            return;
        }
        self.mode = SAVE;
        v.act(text!["utilisation ", busy, " is below ", self.low, " for ", self.calm]).wake_above(self.busy, self.high);
    }

    /// Keeps the mode: by renewing its leases, if there is something to hold.
    fn hold(&self, v: &mut Verdict, why: &[&dyn Part]) {
        v.decide(self.mode != NONE, why).wake_above(self.busy, self.high);
    }
}

export_policy!(Boost);
