// node vectors.mjs MODULE FLAT holds the module of vectors.ts against the vectors of wasmabi.
import { readFileSync } from "node:fs";

const [, , modulePath, flatPath] = process.argv;
const { instance } = await WebAssembly.instantiate(readFileSync(modulePath), { edgehold1: { log() {} } });
const guest = instance.exports;
guest._initialize();

const bytes = (at, length) => new Uint8Array(guest.memory.buffer, at, length);
const put = (b) => bytes(guest.input(), b.length).set(b);

function decode(message, b) {
  put(b);
  return Buffer.from(bytes(guest.output(), guest[message](b.length))).toString();
}

function encode(message, line, room) {
  put(Buffer.from(line));
  const end = guest.output() + room;
  bytes(end, 64).fill(0x5a);
  const length = guest[message](line.length, room);
  if (bytes(end, 64).some((b) => b !== 0x5a)) throw new Error(`${message} writes past ${room} bytes`);
  return length < 0 ? null : Buffer.from(bytes(guest.output(), length)).toString("hex");
}

let checked = 0;
for (const line of readFileSync(flatPath, "utf8").trim().split("\n")) {
  const [message, name, hex, ...rest] = line.split(" ");
  const want = rest.join(" ");
  const same = (got, want) => {
    if (got !== want) throw new Error(`${name} differs:\n got ${got}\nwant ${want}`);
    checked++;
  };
  if (message === "observation" || message === "migrate") {
    same(decode(message, Buffer.from(hex, "hex")), want);
  } else if ((message === "analysis" || message === "plan") && want !== "refused") {
    // The output serves as scratch while a text is read, so room begins at a byte.
    for (let room = 1; room < hex.length / 2; room++) same(encode(message, want, room), null);
    same(encode(message, want, hex.length / 2), hex);
  }
}
if (checked < 20) throw new Error(`only ${checked} checks`);
console.log(`${checked} checks`);
