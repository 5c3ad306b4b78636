//! The module's side of the ABI: windows, the log, the end at a panic.

use crate::{
    cbor::{Writer, MAX_NAME},
    instance::Status,
    text::{Part, Text},
};
use core::cell::UnsafeCell;

#[cfg(target_arch = "wasm32")]
mod edgehold1 {
    #[link(wasm_import_module = "edgehold1")]
    unsafe extern "C" {
        #[link_name = "log"]
        pub fn log(level: u32, text: *const u8, length: usize);
        #[link_name = "call"]
        pub fn call(handle: u32, op: u32, input: *const u8, input_length: usize, out: *mut u8, capacity: usize) -> u64;
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

/// Asks the device for something of its own, by the number that the look-up gave, and returns how long the answer is. What does not
/// fit into out is no answer.
pub(crate) fn ask(op: u32, place: u32, value: &str, out: &mut [u8]) -> Option<usize> {
    let mut request = [0; 4 + MAX_NAME];
    let mut w = Writer::new(&mut request);
    w.put(&place.to_le_bytes());
    w.put(value.as_bytes());
    let (length, full) = (w.length, w.full);
    if full {
        return None;
    }
    #[cfg(target_arch = "wasm32")]
    // SAFETY: the host reads and writes no more than the lengths say.
    let answer = unsafe { edgehold1::call(0, op, request.as_ptr(), length, out.as_mut_ptr(), out.len()) };
    #[cfg(not(target_arch = "wasm32"))]
    let answer = crate::workload::testing::answer(op, request.get(..length)?, out);
    let length = answer as u32 as usize;
    (answer >> 32 == Status::Ok as u64 && length <= out.len()).then_some(length)
}

/// What stands behind the calls of the host: an instance, which holds everything but the author's own value of type G.
pub trait Answers<G> {
    /// Answers one call: writes the response and returns its length.
    fn call(&mut self, guest: &mut Option<G>, op: u32, request: &[u8], response: &mut [u8]) -> (Status, usize);
}

/// The memory that the host knows of, with windows of that size; [`crate::export_policy`] and [`crate::export_workload`] make the
/// only one. It is all zeros at first, so that it takes no room in a module; hence the author's value, of which that is not sure, has
/// a place of its own.
pub struct Windows<I, const SIZE: usize>(UnsafeCell<Memory<I, SIZE>>);

/// The policy or the workload of a module.
pub struct Registered<G>(UnsafeCell<Option<G>>);

struct Memory<I, const SIZE: usize> {
    record: [u32; 4],
    request: [u8; SIZE],
    response: [u8; SIZE],
    instance: I,
}

// SAFETY: a module has one thread, and the host makes one call at a time.
unsafe impl<I, const SIZE: usize> Sync for Windows<I, SIZE> {}
// SAFETY: as above.
unsafe impl<G> Sync for Registered<G> {}

#[allow(clippy::new_without_default)]
impl<G> Registered<G> {
    /// One that has not begun.
    pub const fn new() -> Self {
        Registered(UnsafeCell::new(None))
    }
}

impl<I, const SIZE: usize> Windows<I, SIZE> {
    /// Empty windows before an instance.
    pub const fn new(instance: I) -> Self {
        Windows(UnsafeCell::new(Memory { record: [0; 4], request: [0; SIZE], response: [0; SIZE], instance }))
    }

    /// The address of the window record.
    pub fn address(&self) -> u32 {
        // SAFETY: see Sync; no other reference lives here.
        let m = unsafe { &mut *self.0.get() };
        m.record = [m.request.as_ptr() as u32, SIZE as u32, m.response.as_ptr() as u32, SIZE as u32];
        m.record.as_ptr() as u32
    }

    /// Answers one call: the status in the high half, the length of the response in the low one.
    pub fn call<G>(&self, guest: &Registered<G>, op: u32, length: u32) -> u64
    where
        I: Answers<G>,
    {
        // SAFETY: as in address.
        let (m, guest) = unsafe { (&mut *self.0.get(), &mut *guest.0.get()) };
        let Some(request) = m.request.get(..length as usize) else { return (Status::Invalid as u64) << 32 };
        let (status, n) = m.instance.call(guest, op, request, &mut m.response);
        (status as u64) << 32 | n as u64
    }
}

/// Defines what the host calls.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($guest:ty, $instance:ty, $window:expr) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            static WINDOWS: $crate::Windows<$instance, { $window }> = $crate::Windows::new(<$instance>::new());
            static GUEST: $crate::Registered<$guest> = $crate::Registered::new();

            #[unsafe(no_mangle)]
            extern "C" fn edgehold_abi_v1() {}

            #[unsafe(no_mangle)]
            extern "C" fn edgehold_window() -> u32 {
                WINDOWS.address()
            }

            #[unsafe(no_mangle)]
            extern "C" fn edgehold_call(op: u32, length: u32) -> u64 {
                WINDOWS.call(&GUEST, op, length)
            }
        };
    };
}

#[cfg(all(target_arch = "wasm32", feature = "panic-handler"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    if let Some(at) = info.location() {
        warn(crate::text!["panicked at ", at.file(), ":", at.line()]);
    }
    core::arch::wasm32::unreachable()
}
