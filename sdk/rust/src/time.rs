//! Durations and times, signed and to the nanosecond.

/// A span of time. Beyond 292 years it is the longest there is.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Duration(pub i64);

impl Duration {
    /// The age of a metric without a value.
    pub const FOREVER: Duration = Duration(i64::MAX);

    /// A whole number of milliseconds.
    pub const fn milliseconds(n: i64) -> Self {
        Duration(n.saturating_mul(1_000_000))
    }

    /// A whole number of seconds.
    pub const fn seconds(n: i64) -> Self {
        Duration(n.saturating_mul(1_000_000_000))
    }

    /// Any number of seconds, for example a parameter's. NaN is none.
    pub fn from_seconds(n: f64) -> Self {
        Duration((n * 1e9) as i64)
    }

    /// Whole milliseconds.
    pub const fn as_milliseconds(self) -> i64 {
        self.0 / 1_000_000
    }
}

impl core::ops::Sub for Duration {
    type Output = Duration;

    fn sub(self, other: Duration) -> Duration {
        Duration(self.0.wrapping_sub(other.0))
    }
}

impl core::ops::Add for Duration {
    type Output = Duration;

    fn add(self, other: Duration) -> Duration {
        Duration(self.0.wrapping_add(other.0))
    }
}

/// A moment, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Time(pub i64);

impl Time {
    /// The time since an earlier moment; negative when that is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}
