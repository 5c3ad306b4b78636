//! A policy behind the calls of the ABI.

use crate::{
    cbor::*,
    host::Answers,
    plan::Rows,
    setup::{Init, KnobsAt, Setup},
    text,
    text::{Part, Text},
    verdict::{Bounds, Verdict},
    Duration, Observation, Plan, Policy, State,
};

/// The outcome of a call.
#[doc(hidden)]
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    Guest = 1,
    Unsupported = 2,
    Invalid = 5,
    TooLarge = 6,
}

/// The first failure of a call.
pub struct Failure {
    pub(crate) code: Option<&'static str>,
    pub(crate) message: Text,
}

impl Failure {
    pub(crate) const fn new() -> Self {
        Failure { code: None, message: Text::new() }
    }

    /// The message to fill, unless something failed before.
    pub(crate) fn begin(&mut self, code: &'static str) -> Option<&mut Text> {
        if self.code.is_some() {
            return None;
        }
        self.code = Some(code);
        self.message.clear();
        Some(&mut self.message)
    }

    pub(crate) fn set(&mut self, code: &'static str, message: &[&dyn Part]) {
        if let Some(t) = self.begin(code) {
            t.set(message);
        }
    }

    /// The request is not what the ABI says.
    pub(crate) fn malformed(&mut self) -> Status {
        self.set("abi.malformed", text!["the request can not be decoded"]);
        Status::Invalid
    }

    /// Ends a call. A failure takes the place of what was written.
    pub(crate) fn answer(&self, mut status: Status, mut w: Writer) -> (Status, usize) {
        if let Some(code) = self.code {
            if status == Status::Ok {
                status = Status::Guest;
            }
            w.length = 0;
            w.full = false;
            w.head(MAP, 2);
            w.text("code");
            w.text(code);
            w.text("message");
            w.said(self.message.as_bytes());
        }
        if w.full {
            return (Status::TooLarge, 0);
        }
        (status, w.length)
    }
}

/// The size of each window.
#[doc(hidden)]
pub const WINDOW: usize = 64 << 10;

/// Everything that an instance needs beside the policy. It is all zeros at first, so that it takes no room in a module.
pub struct Instance {
    kept: [u8; WINDOW], // the init message, which the next call overwrites
    knobs: KnobsAt,
    ready: bool,
    failure: Failure,
    why: Text,
    bounds: Bounds,
    rows: Rows,
    state: State,
}

impl Instance {
    /// An instance that has not been initialised.
    pub const fn new() -> Self {
        Instance {
            kept: [0; WINDOW],
            knobs: KnobsAt::NONE,
            ready: false,
            failure: Failure::new(),
            why: Text::new(),
            bounds: Bounds::new(),
            rows: Rows::new(),
            state: State::new(),
        }
    }

    fn dispatch<P: Policy>(&mut self, policy: &mut Option<P>, op: u32, request: &[u8], w: &mut Writer) -> Status {
        match op {
            0 => self.initialize(policy.insert(P::default()), request),
            1 | 2 => self.decide(policy, op == 2, request, w),
            16 => self.snapshot(policy, w),
            17 => self.migrate(policy.get_or_insert_with(P::default), request, w),
            18 => Status::Ok,
            _ => Status::Unsupported,
        }
    }

    fn not_ready(&mut self) -> Status {
        self.failure.set("policy.not-initialized", text!["analyze before init"]);
        Status::Guest
    }

    fn initialize<P: Policy>(&mut self, policy: &mut P, request: &[u8]) -> Status {
        self.ready = false;
        let Some(kept) = self.kept.get_mut(..request.len()) else { return self.failure.malformed() };
        copy(kept, request);
        let Some(init) = Init::read(kept) else { return self.failure.malformed() };
        self.knobs = init.knobs_at(kept);
        policy.initialize(&mut Setup { init, failure: &mut self.failure });
        if self.failure.code.is_some() {
            return Status::Guest;
        }
        self.ready = true;
        if P::STATEFUL && !init.context.is_empty() && self.state.read(init.context, &mut self.failure) {
            policy.load(&self.state);
        }
        Status::Ok
    }

    fn decide<P: Policy>(&mut self, policy: &mut Option<P>, plan: bool, request: &[u8], w: &mut Writer) -> Status {
        let (true, Some(policy)) = (self.ready, policy) else { return self.not_ready() };
        let Some(o) = Observation::read(request) else { return self.failure.malformed() };
        self.why.clear();
        if !plan {
            let mut v = Verdict {
                act: false,
                next: Duration(0),
                length: 0,
                bounds: &mut self.bounds,
                why: &mut self.why,
                failure: &mut self.failure,
            };
            policy.analyze(&o, &mut v);
            v.write(o.seq(), w);
            return Status::Ok;
        }
        let init = self.knobs.of(&self.kept);
        let mut p = Plan { init, length: 0, rows: &mut self.rows, why: &mut self.why, failure: &mut self.failure };
        policy.plan(&o, &mut p);
        p.write(o.seq(), w);
        Status::Ok
    }

    fn snapshot<P: Policy>(&mut self, policy: &mut Option<P>, w: &mut Writer) -> Status {
        if !P::STATEFUL {
            return Status::Ok;
        }
        let (true, Some(policy)) = (self.ready, policy) else { return self.not_ready() };
        policy.save(&mut self.state);
        self.state.write(w, &mut self.failure);
        Status::Ok
    }

    fn migrate<P: Policy>(&mut self, policy: &mut P, request: &[u8], w: &mut Writer) -> Status {
        if !P::MIGRATES {
            self.failure.set("policy.no-migration", text!["the policy has no migrate method"]);
            return Status::Guest;
        }
        let Some((from, context)) = read_migrate(request) else { return self.failure.malformed() };
        if self.state.read(context, &mut self.failure) {
            policy.migrate(from, &mut self.state);
            self.state.write(w, &mut self.failure);
        }
        Status::Ok
    }
}

impl<P: Policy> Answers<P> for Instance {
    fn call(&mut self, policy: &mut Option<P>, op: u32, request: &[u8], response: &mut [u8]) -> (Status, usize) {
        self.failure.code = None;
        let mut w = Writer::new(response);
        let status = self.dispatch(policy, op, request, &mut w);
        self.failure.answer(status, w)
    }
}

impl Default for Instance {
    fn default() -> Self {
        Instance::new()
    }
}

pub(crate) fn read_migrate(request: &[u8]) -> Option<(u32, &[u8])> {
    let mut r = Reader::new(request);
    let (mut from, mut context) = (0, &[][..]);
    let mut keys = r.keys();
    while let Some(key) = keys.next(&mut r) {
        match key {
            "context" => context = r.bytes(MAX_CONTEXT),
            "from_schema" => from = r.uint32(),
            _ => r.skip(0),
        }
    }
    r.finish().then_some((from, context))
}
