/**
 * Deletes the data of a range in slices: a bounded read and a bounded write, then other work has
 * its turn. Unsynced: whoever needs it durable syncs a later write. Idempotent.
 */
import { nextKey, type Timers } from "../../base/index.js";
import { dataRange } from "../../codec/index.js";
import { ENGINE_SUPPORTS, type Snapshot } from "../../engine/index.js";
import type { EnginePort } from "../engine_port.js";
import { DATA_CFS } from "./format.js";
import type { KeySpan } from "./range_jobs.js";

/** Keys of one slice: below what the npm binding keeps inside one atomic batch. */
const SLICE_KEYS = 2048;
const SLICE_KEY_BYTES = 256 << 10;
/** Wait for a snapshot handle when all are in use. */
export const BUSY_RETRY_MS = 100;

export interface SliceDeps {
  readonly port: EnginePort;
  readonly timers: Timers;
}

/** Deletes all data with keys in `span`; calls back once, after the last write took effect. */
export function deleteSpan(deps: SliceDeps, span: KeySpan, done: () => void): void {
  if (ENGINE_SUPPORTS[deps.port.engine.binding].rangeDeleteCheap) deleteAtOnce(deps, span, done);
  else deleteSlice(deps, span, 0, dataRange(span.startKey, span.endKey).start, done);
}

/** One tombstone a CF. */
function deleteAtOnce({ port }: SliceDeps, span: KeySpan, done: () => void): void {
  const { start, end } = dataRange(span.startKey, span.endKey);
  const batch = port.engine.newWriteBatch();
  for (const cf of DATA_CFS) batch.deleteRange(cf, start, end);
  port.write(batch.bytes(), false, done);
}

/** Deletes some keys of CF number `cf` from engine key `from` on, and comes again. */
function deleteSlice(
  deps: SliceDeps,
  span: KeySpan,
  cf: number,
  from: Uint8Array,
  done: () => void,
): void {
  const name = DATA_CFS[cf];
  if (name === undefined) {
    done();
    return;
  }
  const again = (nextCf: number, next: Uint8Array, delayMs: number): void => {
    deps.timers.after(delayMs, () => deleteSlice(deps, span, nextCf, next, done));
  };
  const snapshot = takeSnapshot(deps.port);
  if (snapshot === undefined) {
    again(cf, from, BUSY_RETRY_MS);
    return;
  }
  const { start, end } = dataRange(span.startKey, span.endKey);
  const last = lastOfSlice(snapshot, name, from, end);
  snapshot.close();
  if (last === undefined) {
    again(cf + 1, start, 0);
    return;
  }
  const batch = deps.port.engine.newWriteBatch();
  const behind = nextKey(last);
  batch.deleteRange(name, from, behind);
  deps.port.write(batch.bytes(), false, () => again(cf, behind, 0));
}

/** Returns a snapshot of the engine; undefined when all handles are in use. */
export function takeSnapshot(port: EnginePort): Snapshot | undefined {
  try {
    return port.engine.snapshot();
  } catch (error) {
    if ((error as { code?: string }).code === "RUTILE:Engine:Busy") return undefined;
    throw error;
  }
}

/** Returns the last key of the next slice of `[from, end)`; undefined when there is none. */
function lastOfSlice(
  snapshot: Snapshot,
  cf: (typeof DATA_CFS)[number],
  from: Uint8Array,
  end: Uint8Array,
): Uint8Array | undefined {
  const options = { lower: from, upper: end, keysOnly: true, fillCache: false };
  const iter = snapshot.iterate(cf, options);
  try {
    if (!iter.seekToFirst()) return undefined;
    return iter.take(SLICE_KEYS, SLICE_KEY_BYTES).keys.at(-1);
  } finally {
    iter.close();
  }
}
