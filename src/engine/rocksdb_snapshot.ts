/**
 * Snapshots of the npm RocksDB binding, which has no snapshot handles. A snapshot refers to a pin: an
 * iterator pair in the worker (rocksdb_pins.ts). Snapshots taken with no write under way share one
 * pin, and that pin is opened only when it must be: before the next write, or for an iterator. Until
 * then the newest state is their state, and reads are batched point reads. So a snapshot that lives
 * for one turn costs nothing. Hot path.
 */
import { assert, TikvError } from "../base/index.js";
import { ARENA_NOT_FOUND, ARENA_ROW_BYTES, checkArenaGet } from "./arena_get.js";
import { CF_PREFIX } from "./cf.js";
import type { OpenHandles } from "./open_handles.js";
import type { RocksdbBridge } from "./rocksdb_bridge.js";
import { RocksdbIter } from "./rocksdb_iter.js";
import {
  FrameReader,
  FrameWriter,
  NOT_FOUND,
  OP_GET_MANY,
  OP_PIN,
  PIN_NONE,
} from "./rocksdb_protocol.js";
import type { ArenaGet, ArenaGetResult, CfName, Iter, IterOptions, Snapshot } from "./types.js";

/** A moment of the database. Invariant: not opened ⇒ no write was sent since it was taken. */
export interface PinRef {
  readonly id: number;
  opened: boolean;
  /** Whether the newest state still is this moment. */
  newest: boolean;
  /** Open snapshots that refer to it. */
  snapshots: number;
}

/** Returns the values of `keys`, of the moment `pin` or of the newest state. */
export function readMany(
  bridge: RocksdbBridge,
  frame: FrameWriter,
  pin: number,
  cf: CfName,
  keys: readonly Uint8Array[],
): (Uint8Array | undefined)[] {
  if (keys.length === 0) return [];
  frame.start().u32(OP_GET_MANY).u32(pin).u32(keys.length);
  for (const key of keys) frame.prefixed(CF_PREFIX[cf], key);
  const answer = new FrameReader(bridge.read(frame.frame()));
  frame.trim();
  const values = new Array<Uint8Array | undefined>(keys.length);
  for (let i = 0; i < keys.length; i++) {
    const length = answer.u32();
    values[i] = length === NOT_FOUND ? undefined : answer.slice(length);
  }
  return values;
}

/** As Engine.multiGetArena, of the moment `pin` or of the newest state. */
export function readManyArena(
  bridge: RocksdbBridge,
  frame: FrameWriter,
  pin: number,
  request: ArenaGet,
): ArenaGetResult {
  checkArenaGet(request);
  const { memory, count, keyTable } = request;
  if (count === 0) return { done: 0, outUsedEnd: request.out };
  const view = new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
  frame.start().u32(OP_GET_MANY).u32(pin).u32(count);
  for (let item = 0; item < count; item++) {
    const row = keyTable + item * ARENA_ROW_BYTES;
    const at = view.getUint32(row, true);
    frame.sized(memory.subarray(at, at + view.getUint32(row + 4, true)));
  }
  return fillValues(request, view, new FrameReader(bridge.read(frame.frame())));
}

/** Copies the values of an OP_GET_MANY answer into linear memory, as far as they fit. */
function fillValues(request: ArenaGet, view: DataView, answer: FrameReader): ArenaGetResult {
  const { memory, count, valueTable, outEnd } = request;
  let end = request.out;
  for (let item = 0; item < count; item++) {
    const length = answer.u32();
    const row = valueTable + item * ARENA_ROW_BYTES;
    view.setUint32(row, end, true);
    if (length === NOT_FOUND) {
      view.setUint32(row + 4, ARENA_NOT_FOUND, true);
      continue;
    }
    if (end + length > outEnd) return { done: item, outUsedEnd: end };
    memory.set(answer.viewOf(length), end);
    view.setUint32(row + 4, length, true);
    end += length;
  }
  return { done: count, outUsedEnd: end };
}

/** The open snapshots of one engine, and the pins behind them. */
export class Snapshots {
  readonly bridge: RocksdbBridge;
  readonly handles: OpenHandles;
  readonly frame = new FrameWriter();
  private readonly snapshotsMax: number;
  private nextPin = PIN_NONE + 1;
  /** The pin of the current state, if a snapshot refers to it. */
  private current: PinRef | undefined;
  private writeUnderWay = false;

  /** Above `snapshotsMax` open snapshots `take` throws RUTILE:Engine:Busy. */
  constructor(bridge: RocksdbBridge, handles: OpenHandles, snapshotsMax: number) {
    this.bridge = bridge;
    this.handles = handles;
    this.snapshotsMax = snapshotsMax;
  }

  take(): Snapshot {
    if (this.handles.snapshots >= this.snapshotsMax) {
      const text = `${this.handles.snapshots} snapshots are open, at most ${this.snapshotsMax} may be`;
      throw new TikvError("RUTILE:Engine:Busy", text);
    }
    const pin = this.writeUnderWay ? this.pinNow() : this.pinCurrent();
    pin.snapshots++;
    return new RocksdbSnapshot(this, pin);
  }

  /** To be called before a write is sent: returns the pin that the worker opens first. */
  beforeWrite(): number {
    const pin = this.current;
    this.current = undefined;
    this.writeUnderWay = true;
    if (pin === undefined) return PIN_NONE;
    pin.newest = false;
    if (pin.opened) return PIN_NONE;
    pin.opened = true;
    return pin.id;
  }

  /** To be called when the answer to the write is here. */
  afterWrite(): void {
    this.writeUnderWay = false;
  }

  release(pin: PinRef): void {
    pin.snapshots--;
    if (pin.snapshots > 0) return;
    if (this.current === pin) this.current = undefined;
    if (pin.opened) this.bridge.post({ kind: "unpin", pin: pin.id });
  }

  private pinCurrent(): PinRef {
    this.current ??= { id: this.newId(), opened: false, newest: true, snapshots: 0 };
    return this.current;
  }

  private pinNow(): PinRef {
    const pin = { id: this.newId(), opened: true, newest: false, snapshots: 0 };
    this.bridge.read(this.frame.start().u32(OP_PIN).u32(pin.id).frame());
    return pin;
  }

  private newId(): number {
    const id = this.nextPin;
    this.nextPin = id === 0xffff_ffff ? PIN_NONE + 1 : id + 1;
    return id;
  }
}

class RocksdbSnapshot implements Snapshot {
  private readonly owner: Snapshots;
  private readonly pin: PinRef;
  private iterators = 0;
  private closed = false;

  constructor(owner: Snapshots, pin: PinRef) {
    this.owner = owner;
    this.pin = pin;
    owner.handles.snapshots++;
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    return this.multiGet(cf, [key])[0];
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    assert(!this.closed, "the snapshot is open");
    const { bridge, frame } = this.owner;
    return readMany(bridge, frame, this.pin.newest ? PIN_NONE : this.pin.id, cf, keys);
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    assert(!this.closed, "the snapshot is open");
    const { bridge, frame } = this.owner;
    return readManyArena(bridge, frame, this.pin.newest ? PIN_NONE : this.pin.id, request);
  }

  iterate(cf: CfName, options: IterOptions): Iter {
    assert(!this.closed, "the snapshot is open");
    this.iterators++;
    const { bridge, handles, frame } = this.owner;
    return new RocksdbIter(bridge, frame, this.pin, handles, cf, options, () => {
      this.iterators--;
    });
  }

  /** An iterator costs a pin, and passes over any number of deleted entries. */
  provenEmpty(): boolean {
    return false;
  }

  close(): void {
    if (this.closed) return;
    assert(this.iterators === 0, "the iterators of a snapshot are closed before it");
    this.closed = true;
    this.owner.handles.snapshots--;
    this.owner.release(this.pin);
  }
}
