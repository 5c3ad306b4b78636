// An ordinary Extism plugin: it adds up numbers, logs, and fails on what is none.
import { Config, Host, LogLevel, Var } from "@extism/as-pdk";

export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function add(): i32 {
  const text = Host.inputString();
  const number = parseFloat(text);
  if (isNaN(number)) {
    Host.log(LogLevel.Error, "no number: " + text); // the kit can not set errors
    return 1;
  }
  Host.log(LogLevel.Info, "add " + text);
  const kept = Var.getString("sum");
  let sum = number;
  if (kept !== null) sum += parseFloat(kept);
  Var.set("sum", Uint8Array.wrap(String.UTF8.encode(sum.toString())));
  const unit = Config.get("unit");
  Host.outputString(sum.toString() + (unit === null ? "" : " " + unit));
  return 0;
}

export function crash(): i32 {
  const empty: i32[] = [];
  return empty[Host.inputString().length];
}
