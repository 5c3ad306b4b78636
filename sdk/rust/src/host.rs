//! The module's side of the ABI: windows, the log, the end at a panic.

use crate::{
    instance::Instance,
    text::{Part, Text},
    Policy,
};
use core::cell::UnsafeCell;

#[cfg(target_arch = "wasm32")]
mod edgehold1 {
    #[link(wasm_import_module = "edgehold1")]
    unsafe extern "C" {
        #[link_name = "log"]
        pub fn log(level: u32, text: *const u8, length: usize);
    }
}

fn write(level: u32, line: &Text) {
    let text = line.as_bytes();
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the host reads that many bytes of a text that is there.
    unsafe {
        edgehold1::log(level, text.as_ptr(), text.len());
    }
    #[cfg(not(target_arch = "wasm32"))]
    std::eprintln!("{}: {}", if level == 2 { "warning" } else { "log" }, std::string::String::from_utf8_lossy(text));
}

/// Writes a line to the host's log, under the policy's name: `log(text!["load ", load])`. The host cuts off what goes beyond 4 KiB for
/// each call.
pub fn log(parts: &[&dyn Part]) {
    let mut line = Text::new();
    line.set(parts);
    write(1, &line);
}

/// As [`log`], with the level of a warning.
pub fn warn(parts: &[&dyn Part]) {
    let mut line = Text::new();
    line.set(parts);
    write(2, &line);
}

const WINDOW: usize = 64 << 10;

/// The memory that the host knows of; [`crate::export_policy`] makes the only one. It is all zeros at first, so that it takes no
/// room in a module; hence the policy, of which that is not sure, has a place of its own.
pub struct Windows(UnsafeCell<Memory>);

/// The policy of a module.
pub struct Registered<P>(UnsafeCell<Option<P>>);

struct Memory {
    record: [u32; 4],
    request: [u8; WINDOW],
    response: [u8; WINDOW],
    instance: Instance,
}

// SAFETY: a module has one thread, and the host makes one call at a time.
unsafe impl Sync for Windows {}
// SAFETY: as above.
unsafe impl<P> Sync for Registered<P> {}

#[allow(clippy::new_without_default)]
impl<P: Policy> Registered<P> {
    /// One that has not been initialised.
    pub const fn new() -> Self {
        Registered(UnsafeCell::new(None))
    }
}

#[allow(clippy::new_without_default)]
impl Windows {
    /// Empty windows.
    pub const fn new() -> Self {
        Windows(UnsafeCell::new(Memory { record: [0; 4], request: [0; WINDOW], response: [0; WINDOW], instance: Instance::new() }))
    }

    /// The address of the window record.
    pub fn address(&self) -> u32 {
        // SAFETY: see Sync; no other reference lives here.
        let m = unsafe { &mut *self.0.get() };
        m.record = [m.request.as_ptr() as u32, WINDOW as u32, m.response.as_ptr() as u32, WINDOW as u32];
        m.record.as_ptr() as u32
    }

    /// Answers one call: the status in the high half, the length of the response in the low one.
    pub fn call<P: Policy>(&self, policy: &Registered<P>, op: u32, length: u32) -> u64 {
        // SAFETY: as in address.
        let (m, policy) = unsafe { (&mut *self.0.get(), &mut *policy.0.get()) };
        let Some(request) = m.request.get(..length as usize) else { return 5 << 32 };
        let (status, n) = m.instance.call(policy, op, request, &mut m.response);
        (status as u64) << 32 | n as u64
    }
}

#[cfg(all(target_arch = "wasm32", feature = "panic-handler"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    if let Some(at) = info.location() {
        warn(crate::text!["panicked at ", at.file(), ":", at.line()]);
    }
    core::arch::wasm32::unreachable()
}
