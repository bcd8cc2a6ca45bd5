/**
 * Keys inside the engine. Data: "z" and the region's key. Local: 0x01, then what the store keeps about
 * itself and its regions. Ids and indexes are big-endian, so that they sort.
 * Source: tikv components/keys/src/lib.rs. PERSISTED: do not change.
 *
 *   01 01                        store ident            01 02 id 01 index   raft log entry
 *   01 02                        prepare bootstrap      01 02 id 02         raft local state
 *   01 03                        recover state          01 02 id 03         apply state
 *   01 03 id 01                  region local state     01 02 id 04         snapshot raft state
 */
import { concatBytes } from "../base/index.js";
import { codecError } from "./error.js";
import { decodeU64, encodeU64 } from "./number.js";

/** Byte in front of all data keys. */
export const DATA_PREFIX = 0x7a; // "z"
/** Smallest data key, and the first key behind all data: the bounds of an unbounded region. */
export const DATA_MIN_KEY: Uint8Array = Uint8Array.of(DATA_PREFIX);
export const DATA_MAX_KEY: Uint8Array = Uint8Array.of(DATA_PREFIX + 1); // "{"

const LOCAL_PREFIX = 0x01;
const REGION_RAFT = 0x02;
const REGION_META = 0x03;
const SUFFIX_RAFT_LOG = 0x01;
const SUFFIX_RAFT_STATE = 0x02;
const SUFFIX_APPLY_STATE = 0x03;
const SUFFIX_SNAPSHOT_RAFT_STATE = 0x04;
const SUFFIX_REGION_STATE = 0x01;

const ID_BYTES = 8;
const REGION_KEY_BYTES = 2 + ID_BYTES + 1;
const LOG_KEY_BYTES = REGION_KEY_BYTES + ID_BYTES;

export const STORE_IDENT_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX, 0x01);
export const PREPARE_BOOTSTRAP_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX, 0x02);
export const RECOVER_STATE_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX, 0x03);
/** `[LOCAL_MIN_KEY, LOCAL_MAX_KEY)` holds every local key. */
export const LOCAL_MIN_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX);
export const LOCAL_MAX_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX + 1);
/** `[REGION_META_MIN_KEY, REGION_META_MAX_KEY)` holds the state of every region. */
export const REGION_META_MIN_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX, REGION_META);
export const REGION_META_MAX_KEY: Uint8Array = Uint8Array.of(LOCAL_PREFIX, REGION_META + 1);

/** A range `[start, end)` whose ends are both present. */
export interface BoundedRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
}

/** Returns "z" and `key`. */
export function dataKey(key: Uint8Array): Uint8Array {
  const out = new Uint8Array(key.length + 1);
  out[0] = DATA_PREFIX;
  out.set(key, 1);
  return out;
}

/** Returns the engine key of a region's exclusive end; empty, meaning +inf, becomes DATA_MAX_KEY. */
export function dataEndKey(endKey: Uint8Array): Uint8Array {
  return endKey.length === 0 ? DATA_MAX_KEY : dataKey(endKey);
}

/** Returns the engine range of the region keys `[startKey, endKey)`; an empty end means +inf. */
export function dataRange(startKey: Uint8Array, endKey: Uint8Array): BoundedRange {
  return { start: dataKey(startKey), end: dataEndKey(endKey) };
}

/** Returns whether `key` is a data key. */
export function isDataKey(key: Uint8Array): boolean {
  return key[0] === DATA_PREFIX;
}

/** Returns a view of what `dataKey` got. Throws KV:Codec:KeyLength for another key. */
export function originKey(key: Uint8Array): Uint8Array {
  if (!isDataKey(key)) throw codecError("KV:Codec:KeyLength", "not a data key");
  return key.subarray(1);
}

/** As `originKey` for an exclusive end: DATA_MAX_KEY becomes the empty key. */
export function originEndKey(key: Uint8Array): Uint8Array {
  return key.length === 1 && key[0] === DATA_PREFIX + 1 ? key.subarray(1) : originKey(key);
}

function regionKey(kind: number, regionId: bigint, suffix: number): Uint8Array {
  const out = new Uint8Array(REGION_KEY_BYTES);
  out[0] = LOCAL_PREFIX;
  out[1] = kind;
  out.set(encodeU64(regionId), 2);
  out[REGION_KEY_BYTES - 1] = suffix;
  return out;
}

/** Returns the key of a raft log entry. */
export function raftLogKey(regionId: bigint, index: bigint): Uint8Array {
  return concatBytes(regionKey(REGION_RAFT, regionId, SUFFIX_RAFT_LOG), encodeU64(index));
}

/** Returns the range of the raft log entries with `[from, to)` of a region. */
export function raftLogRange(regionId: bigint, from: bigint, to: bigint): BoundedRange {
  return { start: raftLogKey(regionId, from), end: raftLogKey(regionId, to) };
}

/** Returns the key of RaftLocalState. */
export function raftStateKey(regionId: bigint): Uint8Array {
  return regionKey(REGION_RAFT, regionId, SUFFIX_RAFT_STATE);
}

/** Returns the key of RaftApplyState. */
export function applyStateKey(regionId: bigint): Uint8Array {
  return regionKey(REGION_RAFT, regionId, SUFFIX_APPLY_STATE);
}

/** Returns the key of the RaftLocalState copy that a snapshot leaves behind. */
export function snapshotRaftStateKey(regionId: bigint): Uint8Array {
  return regionKey(REGION_RAFT, regionId, SUFFIX_SNAPSHOT_RAFT_STATE);
}

/** Returns the key of RegionLocalState. */
export function regionStateKey(regionId: bigint): Uint8Array {
  return regionKey(REGION_META, regionId, SUFFIX_REGION_STATE);
}

/** Returns the range of everything under 01 02 that belongs to a region. */
export function regionRaftRange(regionId: bigint): BoundedRange {
  return {
    start: regionKey(REGION_RAFT, regionId, 0x00),
    end: regionKey(REGION_RAFT, regionId, 0xff),
  };
}

/** Returns region id and index of a raft log key; undefined for another key. */
export function parseRaftLogKey(
  key: Uint8Array,
): { readonly regionId: bigint; readonly index: bigint } | undefined {
  if (key.length !== LOG_KEY_BYTES || key[0] !== LOCAL_PREFIX || key[1] !== REGION_RAFT) {
    return undefined;
  }
  if (key[REGION_KEY_BYTES - 1] !== SUFFIX_RAFT_LOG) return undefined;
  return { regionId: decodeU64(key, 2), index: decodeU64(key, REGION_KEY_BYTES) };
}

/** Returns the region id of a region state key; undefined for another key. */
export function parseRegionStateKey(key: Uint8Array): bigint | undefined {
  if (key.length !== REGION_KEY_BYTES || key[0] !== LOCAL_PREFIX || key[1] !== REGION_META) {
    return undefined;
  }
  return key[REGION_KEY_BYTES - 1] === SUFFIX_REGION_STATE ? decodeU64(key, 2) : undefined;
}
