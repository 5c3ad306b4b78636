// What the host calls. A policy's entry file exports all of it: export * from ".../exports".

import { answer, windows } from "./policy";

export function edgehold_abi_v1(): void {}

export function edgehold_window(): usize {
  return windows();
}

export function edgehold_call(op: u32, length: u32): u64 {
  return answer(op, length);
}
