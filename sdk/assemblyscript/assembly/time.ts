// Durations and times are nanoseconds in an i64; times count from the Unix epoch.

export const MILLISECOND: i64 = 1_000_000;
export const SECOND: i64 = 1_000_000_000;
export const MINUTE: i64 = 60 * SECOND;
export const HOUR: i64 = 60 * MINUTE;

/** The time of something that has not happened. */
export const NEVER: i64 = i64.MIN_VALUE;

/** The age of a metric without a value. */
export const FOREVER: i64 = i64.MAX_VALUE;

/** The duration from one time to another; beyond 292 years it is the longest there is. */
export function since(from: i64, to: i64): i64 {
  const d = to - from;
  if (to >= from) return d >= 0 ? d : i64.MAX_VALUE;
  return d < 0 ? d : i64.MIN_VALUE;
}

/** The duration of that many seconds; one that does not fit is the longest there is, NaN is none. */
export function seconds(n: f64): i64 {
  const ns = n * 1e9;
  if (ns >= 9223372036854775808.0) return i64.MAX_VALUE;
  if (ns <= -9223372036854775808.0) return i64.MIN_VALUE;
  return isNaN(ns) ? 0 : <i64>ns;
}
