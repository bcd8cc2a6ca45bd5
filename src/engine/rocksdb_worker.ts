/**
 * The worker that owns the npm RocksDB handle: takes messages in order, answers reads in shared
 * memory (rocksdb_protocol.ts). It never blocks: every native call that touches disk is asynchronous,
 * so a read is served while a write waits for its fsync. Hot path.
 */
import { randomBytes } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { assert, compareBytes, errorMessage, TikvError, utf8, utf8Decode } from "../base/index.js";
import { checkDirectory } from "./check/directory_check.js";
import { ManifestNote } from "./check/manifest_seen.js";
import { Applier } from "./rocksdb_apply.js";
import { NativeDb } from "./rocksdb_native.js";
import { type Cursor, Pins } from "./rocksdb_pins.js";
import {
  CONTROL_BYTES,
  CONTROL_WORDS,
  FrameReader,
  FrameWriter,
  type FromWorker,
  type NativeOpenOptions,
  NOT_FOUND,
  OP_APPROXIMATE_SIZE,
  OP_GET_MANY,
  OP_PIN,
  OP_PROPERTY,
  OP_SCAN,
  OP_SEEK_MANY,
  PIN_NONE,
  SCAN_AT_END,
  SCAN_INCLUSIVE,
  SCAN_KEYS_ONLY,
  SCAN_LOOKAHEAD,
  SCAN_OPEN_PIN,
  SCAN_REVERSE,
  STATUS_DEAD,
  STATUS_ERROR,
  STATUS_FRAME,
  STATUS_MORE,
  type ToWorker,
  TURN_MAIN,
  TURN_WORKER,
  WORD_PIECE,
  WORD_STATUS,
  WORD_TOTAL,
  WORD_TURN,
  type WorkerStart,
} from "./rocksdb_protocol.js";

const { shared } = workerData as WorkerStart;
const control = new Int32Array(shared, 0, CONTROL_WORDS);
const data = new Uint8Array(shared, CONTROL_BYTES);
const answer = new FrameWriter();

const db = new NativeDb();
const pins = new Pins(db);
const applier = new Applier(db, randomBytes(8).readBigUInt64LE());

let note: ManifestNote | undefined;

/** The rest of a frame that is crossing in pieces, in either direction. */
let incoming: { readonly whole: Uint8Array; received: number } | undefined;
let outgoing: { readonly whole: Uint8Array; sent: number; readonly status: number } | undefined;

function giveBack(): void {
  Atomics.store(control, WORD_TURN, TURN_MAIN);
  Atomics.notify(control, WORD_TURN);
}

function sendPiece(): void {
  assert(outgoing !== undefined, "a frame is on its way out");
  const { whole, sent, status } = outgoing;
  const length = Math.min(whole.length - sent, data.length);
  data.set(length === whole.length ? whole : whole.subarray(sent, sent + length));
  control[WORD_TOTAL] = whole.length;
  control[WORD_PIECE] = length;
  control[WORD_STATUS] = status;
  outgoing.sent += length;
  if (outgoing.sent === whole.length) outgoing = undefined;
  giveBack();
  if (outgoing === undefined) answer.trim();
}

function sendFrame(whole: Uint8Array, status: number): void {
  outgoing = { whole, sent: 0, status };
  sendPiece();
}

/** Reacts to a wake-up: the main thread gave the area away. */
function onWake(): void {
  assert(Atomics.load(control, WORD_TURN) === TURN_WORKER, "a wake-up gives the turn");
  if (control[WORD_STATUS] === STATUS_MORE) {
    sendPiece();
    return;
  }
  const total = (control[WORD_TOTAL] as number) >>> 0;
  const length = control[WORD_PIECE] as number;
  if (length === total) {
    serve(data.subarray(0, total));
    return;
  }
  incoming ??= { whole: new Uint8Array(total), received: 0 };
  incoming.whole.set(data.subarray(0, length), incoming.received);
  incoming.received += length;
  if (incoming.received < total) {
    control[WORD_STATUS] = STATUS_MORE;
    giveBack();
    return;
  }
  const { whole } = incoming;
  incoming = undefined;
  serve(whole);
}

function serve(request: Uint8Array): void {
  answerTo(new FrameReader(request)).then(
    () => sendFrame(answer.frame(), STATUS_FRAME),
    (error: unknown) => {
      const { code, message } = described(error);
      sendFrame(utf8(`${code}\n${message}`), STATUS_ERROR);
    },
  );
}

/** Fills `answer`. */
async function answerTo(request: FrameReader): Promise<void> {
  answer.start();
  const op = request.u32();
  switch (op) {
    case OP_GET_MANY:
      return getMany(request);
    case OP_SCAN:
      return scan(request);
    case OP_SEEK_MANY:
      return seekMany(request);
    case OP_PIN:
      return pins.pinDuringWrite(request.u32());
    case OP_APPROXIMATE_SIZE: {
      const start = request.slice(request.u32());
      const size = await db.approximateSize(start, request.slice(request.u32()));
      answer.raw(new Uint8Array(Float64Array.of(size).buffer));
      return;
    }
    case OP_PROPERTY:
      answer.raw(utf8(db.property(utf8Decode(request.slice(request.u32())))));
      return;
    default:
      assert(false, `known op ${op}`);
  }
}

async function getMany(request: FrameReader): Promise<void> {
  const pin = request.u32();
  const count = request.u32();
  if (pin === PIN_NONE) {
    const keys = new Array<Uint8Array>(count);
    for (let i = 0; i < count; i++) keys[i] = request.viewOf(request.u32());
    const values = await db.getMany(keys);
    for (let i = 0; i < count; i++) putValue(values[i]);
    return;
  }
  const { forward } = pins.get(pin);
  for (let i = 0; i < count; i++) {
    const key = request.viewOf(request.u32());
    await forward.seek(key, true);
    const found = await forward.peek();
    putValue(found !== undefined && compareBytes(found, key) === 0 ? forward.take() : undefined);
  }
}

function putValue(value: Uint8Array | undefined): void {
  if (value === undefined) answer.u32(NOT_FOUND);
  else answer.sized(value);
}

/**
 * Request: u32 pin, u32 flags, u32 maxItems, u32 maxBytes, sized start, sized bound.
 * Answer: u32 flags, u32 count, count × (sized key, sized value); keys with their CF prefix byte.
 * Entries from `start` on in the direction of the flags, up to the bound: exclusive going forward,
 * inclusive in reverse.
 */
async function scan(request: FrameReader): Promise<void> {
  const pinId = request.u32();
  const flags = request.u32();
  if ((flags & SCAN_OPEN_PIN) !== 0) pins.pin(pinId);
  const pin = pins.get(pinId);
  const maxItems = request.u32();
  const maxBytes = request.u32();
  const start = request.viewOf(request.u32());
  const bound = request.viewOf(request.u32());
  const cursor: Cursor = (flags & SCAN_REVERSE) !== 0 ? pin.reverse : pin.forward;
  await cursor.seek(start, (flags & SCAN_INCLUSIVE) !== 0);
  answer.u32(0).u32(0);
  let left = maxItems;
  let bytes = 0;
  let ahead = (flags & SCAN_LOOKAHEAD) !== 0 ? 1 : 0;
  let count = 0;
  for (;;) {
    if (left <= 0 || bytes >= maxBytes) {
      if (ahead-- === 0) break;
      left = 1;
      bytes = 0;
    }
    const key = cursor.peekNow() ?? (await cursor.peek());
    if (key === undefined || isOutside(key, bound, cursor.reverse)) {
      answer.patch(0, SCAN_AT_END);
      break;
    }
    const value = cursor.take();
    answer.sized(key);
    if ((flags & SCAN_KEYS_ONLY) !== 0) answer.u32(0);
    else answer.sized(value);
    left--;
    // The limit counts keys without their prefix byte.
    bytes += key.length - 1 + ((flags & SCAN_KEYS_ONLY) !== 0 ? 0 : value.length);
    count++;
  }
  answer.patch(4, count);
}

/**
 * Request: u32 pin, u32 flags, u32 maxBytes, sized bound, u32 count, count × sized key.
 * Answer: u32 count, count × (sized key, sized value): the entry at or behind each key and below the
 * bound, an empty key where there is none; fewer when the next one would exceed `maxBytes`.
 */
async function seekMany(request: FrameReader): Promise<void> {
  const pinId = request.u32();
  const flags = request.u32();
  if ((flags & SCAN_OPEN_PIN) !== 0) pins.pin(pinId);
  const { forward } = pins.get(pinId);
  let room = request.u32();
  const bound = request.viewOf(request.u32());
  const count = request.u32();
  answer.u32(0);
  let done = 0;
  for (; done < count; done++) {
    await forward.seek(request.viewOf(request.u32()), true);
    const key = await forward.peek();
    if (key === undefined || isOutside(key, bound, false)) {
      answer.u32(0).u32(0);
      continue;
    }
    const value = forward.take();
    const hasValue = (flags & SCAN_KEYS_ONLY) === 0;
    room -= key.length + (hasValue ? value.length : 0);
    if (room < 0) break;
    answer.sized(key);
    if (hasValue) answer.sized(value);
    else answer.u32(0);
  }
  answer.patch(0, done);
}

function isOutside(key: Uint8Array, bound: Uint8Array, reverse: boolean): boolean {
  const order = compareBytes(key, bound);
  return reverse ? order < 0 : order >= 0;
}

async function act(message: Exclude<ToWorker, { kind: "unpin" }>): Promise<void> {
  switch (message.kind) {
    case "open":
      return open(message.path, message.options);
    case "write":
      if (message.pin !== PIN_NONE) pins.pin(message.pin);
      if (message.representation.length === 0) return applier.syncLog();
      await applier.apply(message.representation, message.sync);
      note?.wrote(message.representation.length);
      return;
    case "compact":
      await db.compact();
      note?.update();
      return;
    case "close":
      await db.close();
      note?.update();
  }
}

async function open(path: string, options: NativeOpenOptions): Promise<void> {
  checkDirectory(path, { tables: true });
  await db.open(path, options);
  note = new ManifestNote(path);
  note.update();
}

function described(error: unknown): { code: string; message: string } {
  const message = errorMessage(error);
  if (error instanceof TikvError) return { code: error.code, message };
  if (message.startsWith("Corruption")) return { code: "RUTILE:Engine:Corruption", message };
  if (/lock file|LOCK/.test(message)) return { code: "RUTILE:Engine:Locked", message };
  if (/^(IO error|E[A-Z]+:)/.test(message)) return { code: "RUTILE:Engine:Io", message };
  return { code: "KV:Engine:Engine", message };
}

assert(parentPort !== null, "this program runs in a worker thread");
const port = parentPort;

port.on("message", (message: ToWorker | number) => {
  if (typeof message === "number") onWake();
  else if (message.kind === "unpin") void pins.unpin(message.pin);
  else {
    act(message).then(
      () => port.postMessage({ id: message.id } satisfies FromWorker),
      (error: unknown) =>
        port.postMessage({ id: message.id, error: described(error) } satisfies FromWorker),
    );
  }
});

/** Tells a main thread that waits in a read that no answer will come. */
function die(reason: string): void {
  data.set(utf8(reason).subarray(0, data.length));
  control[WORD_PIECE] = Math.min(utf8(reason).length, data.length);
  control[WORD_STATUS] = STATUS_DEAD;
  giveBack();
}

process.on("uncaughtExceptionMonitor", (error) => die(errorMessage(error)));
process.on("exit", (code) => {
  if (Atomics.load(control, WORD_TURN) === TURN_WORKER) die(`it exited with code ${code}`);
});
