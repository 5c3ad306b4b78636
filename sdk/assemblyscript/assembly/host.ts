// What the host gives, and how a pass fails.

import { Text } from "./text";

// @ts-ignore: decorator
@external("edgehold1", "log")
declare function hostLog(level: u32, text: usize, length: u32): void;

/** Writes a line to the host's log, under the policy's name. The host cuts off what goes beyond 4 KiB for each call. */
export function log(line: Text): void {
  hostLog(1, line.at, line.length);
}

/** As log, with the level of a warning. */
export function warn(line: Text): void {
  hostLog(2, line.at, line.length);
}

/** The first failure of a call: its code is empty while there is none. */
export class Failure {
  static code: string = "";
  static message: Text = new Text();

  static set(code: string, message: Text): void {
    if (Failure.code.length) return;
    Failure.code = code;
    Failure.message = message;
  }
}

/** Ends the episode for a reason: nothing is applied. */
export function fail(why: Text): void {
  Failure.set("policy.failed", why);
}
