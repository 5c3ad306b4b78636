//! A workload behind the calls of the ABI.

use super::{
    setup::{Setup, Start},
    turn::{Batch, Emission, Turn},
    Workload,
};
use crate::{
    cbor::Writer,
    host::Answers,
    instance::{Failure, Status},
    text,
};

/// The size of each window: a workload is for small devices, and its messages are small.
#[doc(hidden)]
pub const WINDOW: usize = 4 << 10;

/// What a failure of the author's own is called.
pub(super) const FAILED: &str = "workload.failed";

/// Bytes of a failure's message, which leave it room in a window.
const MAX_MESSAGE: usize = 512;

// The calls of a workload, as the ABI numbers them.
pub(super) const START: u32 = 7;
pub(super) const INPUT: u32 = 8;
pub(super) const TICK: u32 = 9;
pub(super) const STOP: u32 = 10;
const HEALTH: u32 = 18;

/// Everything that an instance needs beside the workload. It is all zeros at first, so that it takes no room in a module.
pub struct Instance {
    started: bool,
    time: i64,
    failure: Failure,
    emission: Emission,
}

impl Instance {
    /// An instance that has not been started.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Instance { started: false, time: 0, failure: Failure::new(), emission: Emission::new() }
    }

    fn dispatch<W: Workload>(&mut self, workload: &mut Option<W>, op: u32, request: &[u8]) -> Status {
        match op {
            HEALTH => return Status::Ok,
            START => return self.start(workload.insert(W::default()), request),
            INPUT..=STOP => {}
            _ => return Status::Unsupported,
        }
        let (true, Some(w)) = (self.started, workload) else {
            self.failure.set("workload.not-started", text!["called before start"]);
            return Status::Guest;
        };
        if op == STOP {
            self.started = false;
            w.stop(&mut self.turn());
            return Status::Ok;
        }
        self.take(w, op, request)
    }

    fn turn(&mut self) -> Turn<'_> {
        Turn { time: self.time, emission: &mut self.emission, failure: &mut self.failure }
    }

    fn start<W: Workload>(&mut self, workload: &mut W, request: &[u8]) -> Status {
        self.started = false;
        let Some(start) = Start::read(request) else { return self.failure.malformed() };
        self.time = start.time;
        workload.start(&mut Setup { start, failure: &mut self.failure });
        self.started = self.failure.code.is_none();
        Status::Ok
    }

    fn take<W: Workload>(&mut self, workload: &mut W, op: u32, request: &[u8]) -> Status {
        let Some(batch) = Batch::read(request) else { return self.failure.malformed() };
        self.time = batch.time;
        let mut turn = self.turn();
        if op == TICK {
            workload.tick(&mut turn);
            return if turn.emission.ticks { Status::Ok } else { Status::Unsupported };
        }
        for value in batch.values() {
            workload.input(&mut turn, &value);
            if turn.failure.code.is_some() {
                break;
            }
        }
        Status::Ok
    }
}

impl<W: Workload> Answers<W> for Instance {
    fn call(&mut self, workload: &mut Option<W>, op: u32, request: &[u8], response: &mut [u8]) -> (Status, usize) {
        self.failure.code = None;
        self.emission.clear();
        let mut w = Writer::new(response);
        let status = self.dispatch(workload, op, request);
        if status == Status::Ok {
            self.emission.write(&mut w);
        }
        self.failure.message.cut(MAX_MESSAGE);
        self.failure.answer(status, w)
    }
}
