// A policy behind the calls of the ABI.

import { BYTES, Keys, MAP, MAX_CONTEXT, Reader, Writer } from "./cbor";
import { Failure } from "./host";
import { Observation } from "./observation";
import { Plan } from "./plan";
import { Setup } from "./setup";
import { State } from "./state";
import { Text, say } from "./text";
import { Verdict, stay } from "./verdict";

/** A policy decides. Register the only one of the module with register. */
export abstract class Policy {
  /** Resolves what the policy needs by name. A name that is not there is reported by the set-up itself. */
  abstract initialize(s: Setup): void;
  /** Says whether a plan is needed, with act or stay. */
  abstract analyze(o: Observation): Verdict;
  /** Fills the plan. It sees the same observation as analyze. */
  abstract plan(o: Observation, p: Plan): void;
  /** Whether the policy remembers, that is, has the next two methods. */
  get stateful(): bool {
    return false;
  }
  /** Puts what the next episode needs. */
  save(s: State): void {}
  /** Gets it back, after initialize. It is not called when nothing has been saved yet. */
  load(s: State): void {}
  /** Whether the policy understands the state of older versions of itself, and has the next method. */
  get migrates(): bool {
    return false;
  }
  /** Rewrites a state of an older schema, one that policy.yaml lists under migrates_from, into today's. */
  migrate(from: u32, s: State): void {}
}

class Nothing extends Policy {
  initialize(s: Setup): void {
    Failure.set("policy.not-registered", say("the module registers no policy: call register"));
  }
  analyze(o: Observation): Verdict {
    return stay(new Text());
  }
  plan(o: Observation, p: Plan): void {}
}

let registered: Policy = new Nothing();

/** Names the policy of this module. Call it once, at the top level: the host freezes the module after its initialisation. */
export function register(p: Policy): void {
  registered = p;
}

const OK: u32 = 0;
const GUEST: u32 = 1;
const UNSUPPORTED: u32 = 2;
const INVALID: u32 = 5;
const TOO_LARGE: u32 = 6;

const WINDOW: u32 = 65536;
const REQUEST: usize = memory.data(65536, 16);
const RESPONSE: usize = memory.data(65536, 16);
const KEPT: usize = memory.data(65536, 16); // the init message, which the next call overwrites
const RECORD: usize = memory.data(16, 4);

let ready = false;
let state: State = new State();
const observation = new Observation();

/** What the host reads once. */
export function windows(): usize {
  store<u32>(RECORD, <u32>REQUEST);
  store<u32>(RECORD + 4, WINDOW);
  store<u32>(RECORD + 8, <u32>RESPONSE);
  store<u32>(RECORD + 12, WINDOW);
  return RECORD;
}

/** Answers one call: the status in the high half, the length of the response in the low one. */
export function answer(op: u32, length: u32): u64 {
  Failure.code = "";
  let w = new Writer(RESPONSE, WINDOW);
  let status = length > WINDOW ? INVALID : dispatch(op, length, w);
  if (Failure.code.length) {
    if (status == OK) status = GUEST;
    w = new Writer(RESPONSE, WINDOW);
    writeError(w);
  }
  if (w.full) return <u64>TOO_LARGE << 32;
  return (<u64>status << 32) | w.length;
}

function writeError(w: Writer): void {
  w.head(MAP, 2);
  w.string("code");
  w.string(Failure.code);
  w.string("message");
  w.text(Failure.message.at, Failure.message.length);
}

function dispatch(op: u32, length: u32, w: Writer): u32 {
  switch (op) {
    case 0:
      return initialize(length);
    case 1:
      return analyze(length, w);
    case 2:
      return plan(length, w);
    case 16:
      return snapshot(w);
    case 17:
      return migrate(length, w);
    case 18:
      return OK;
  }
  return UNSUPPORTED;
}

function malformed(): u32 {
  Failure.set("abi.malformed", say("the request can not be decoded"));
  return INVALID;
}

function notReady(): u32 {
  Failure.set("policy.not-initialized", say("analyze before init"));
  return GUEST;
}

function initialize(length: u32): u32 {
  ready = false;
  memory.copy(KEPT, REQUEST, length);
  const setup = new Setup();
  Setup.current = setup;
  if (!setup.read(new Reader().begin(KEPT, length))) return malformed();
  registered.initialize(setup);
  if (Failure.code.length) return GUEST;
  ready = true;
  if (registered.stateful && setup.contextLength && state.read(setup.context, setup.contextLength)) registered.load(state);
  return OK;
}

function observe(length: u32): u32 {
  if (!ready) return notReady();
  return observation.read(new Reader().begin(REQUEST, length)) ? OK : malformed();
}

function analyze(length: u32, w: Writer): u32 {
  const status = observe(length);
  if (!status) registered.analyze(observation).write(observation.seq, w);
  return status;
}

function plan(length: u32, w: Writer): u32 {
  const status = observe(length);
  if (status) return status;
  const p = new Plan();
  registered.plan(observation, p);
  p.write(observation.seq, w);
  return OK;
}

function snapshot(w: Writer): u32 {
  if (!registered.stateful) return OK;
  if (!ready) return notReady();
  registered.save(state);
  state.write(w);
  return OK;
}

function migrate(length: u32, w: Writer): u32 {
  if (!registered.migrates) {
    Failure.set("policy.no-migration", say("the policy has no migrate method"));
    return GUEST;
  }
  const m = new Migration();
  if (!m.read(new Reader().begin(REQUEST, length))) return malformed();
  if (!state.read(m.context, m.contextLength)) return GUEST;
  registered.migrate(m.from, state);
  state.write(w);
  return OK;
}

/** The request of migrate. */
export class Migration {
  from: u32 = 0;
  context: usize = 0;
  contextLength: u32 = 0;

  read(r: Reader): bool {
    const k = new Keys(r);
    while (k.next()) {
      if (k.is("context")) {
        r.raw(BYTES, MAX_CONTEXT);
        this.context = r.text;
        this.contextLength = r.length;
      } else if (k.is("from_schema")) this.from = r.uint32();
      else r.skip();
    }
    return r.finish();
  }
}
