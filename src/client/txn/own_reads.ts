/** Reads of a snapshot with a transaction's own writes on top; keys are those of requests. */
import { EMPTY_BYTES } from "../../base/index.js";
import { mapKey, toScanPlan } from "../arguments.js";
import type { Backoffer } from "../backoff.js";
import type { KeyMode } from "../key_mode.js";
import { scanBackward, scanForward } from "../region_scan.js";
import type { KvPair, ScanOptions } from "../types.js";
import type { SnapshotReader } from "./snapshot_reader.js";
import { mergeOwn, UnionStore } from "./union_store.js";

/** What is read through: own writes, if there are any, before a snapshot. */
export interface ReadView {
  readonly mode: KeyMode;
  readonly own: UnionStore;
  /** Returns the snapshot of a read that begins now. */
  readonly reader: (op: Backoffer) => Promise<SnapshotReader>;
  /** Returns the retries of one request. */
  readonly newOp: () => Backoffer;
}

/** Returns the value of a key; undefined if there is none. */
export async function readOne(view: ReadView, key: Uint8Array): Promise<Uint8Array | undefined> {
  const op = view.newOp();
  const own = view.own.get(key);
  if (own !== undefined) return own.value && new Uint8Array(own.value);
  return (await view.reader(op)).get(key, op);
}

/** Returns one value for each key, in the same order; undefined where there is none. */
export async function readMany(
  view: ReadView,
  keys: readonly Uint8Array[],
): Promise<(Uint8Array | undefined)[]> {
  const op = view.newOp();
  const unwritten = keys.filter((key) => view.own.get(key) === undefined);
  const stored: ReadonlyMap<string, Uint8Array> =
    unwritten.length === 0 ? new Map() : await (await view.reader(op)).batchGet(unwritten, op);
  return keys.map((key) => {
    const own = view.own.get(key);
    const value = own === undefined ? stored.get(mapKey(key)) : own.value;
    return value && new Uint8Array(value);
  });
}

/** Yields the pairs of a range; own writes count as they were when the scan began. */
export async function* readRange(
  view: ReadView,
  options: ScanOptions,
  reverse: boolean,
): AsyncGenerator<KvPair, void> {
  const { keyOnly = false } = options;
  const { limit, pageSize, range } = toScanPlan(view.mode, options);
  if (limit === 0) return;
  const own = view.own.range(range, reverse);
  const hidden = own.filter(({ value }) => value === undefined).length;
  const plan = {
    range,
    limit: Number.POSITIVE_INFINITY,
    pageSize: Math.min(pageSize, limit + hidden),
  };
  const reader = await view.reader(view.newOp());
  const deps = reader.scanDeps(keyOnly, reverse, view.newOp);
  const stored = reverse ? scanBackward(plan, deps) : scanForward(plan, deps);
  let left = limit;
  for await (const { key, value } of mergeOwn(stored, own, reverse)) {
    yield {
      key: view.mode.fromWire(key),
      value: keyOnly ? EMPTY_BYTES : new Uint8Array(value),
    };
    if (--left === 0) return;
  }
}

/** A transaction that has written nothing. */
export const NOTHING_WRITTEN: UnionStore = new UnionStore();
