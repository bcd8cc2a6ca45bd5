/**
 * The storage of regions as commands see it, and what it hands out: bounded views of a region's
 * data. Not here: how reads are confirmed and writes replicated (raft_kv.ts).
 */
import { dataEndKey, dataKey } from "../codec/index.js";
import type {
  ArenaGet,
  ArenaGetResult,
  CfName,
  Iter,
  IterOptions,
  Snapshot,
  WriteBatch,
} from "../engine/index.js";
import {
  checkKeysInRegion,
  keyNotInRegion,
  type ReadDelegate,
  type RegionInfo,
  type RequestHeader,
} from "../raftstore/index.js";
import type { RawCursor, RawPointReader, RawReader } from "../raw/index.js";
import type { LockInfo } from "../txn/index.js";
import { type Failure, regionFailure } from "./errors.js";
import type { ReadCheck } from "./read_check.js";
import { RegionCursor } from "./region_cursor.js";
import type { Reply } from "./types.js";

/** A header, and which replica may answer. */
export interface ReadHeader extends RequestHeader {
  /** Any replica answers, once it has applied what the leader confirms. */
  readonly replicaRead: boolean;
  /** Any replica answers from what it has applied, whatever the leader has done since. */
  readonly staleRead: boolean;
}

/** A consistent view of one region, bounded by it. Close it. */
export interface RegionSnapshot extends RawReader {
  readonly peer: ReadDelegate;
  /** An engine cursor over `[lower, upper)` within the region; its keys carry the data prefix. */
  iterate(
    cf: CfName,
    lower: Uint8Array,
    upper: Uint8Array,
    options: Pick<IterOptions, "keysOnly" | "fillCache">,
  ): Iter;
  /** As Engine.multiGetArena; the caller has checked the keys, which are the engine's. */
  multiGetArena(request: ArenaGet): ArenaGetResult;
  /** As engine Snapshot.provenEmpty, within the region. */
  provenEmpty(cf: CfName, lower: Uint8Array, upper: Uint8Array): boolean;
  close(): void;
}

/** What a write does beside its records. */
export interface WriteKind {
  /** Deletes go on while the disk is full: they are what makes room. */
  readonly frees: boolean;
  /** Its bytes were admitted before; the write quota is left alone. */
  readonly admitted?: boolean;
  /** Called once the write stands in the leader's log; it may still be lost. */
  readonly onProposed?: () => void;
  /** Called once the write is committed and sure to take effect, not later than the answer. */
  readonly onCommitted?: () => void;
}

/** What a follower's read asks of the leader, and what it answers when a memory lock is met. */
export interface LeaderCheck<T> {
  readonly asked: ReadCheck;
  readonly onBlocked: (lock: LockInfo) => Reply<T>;
}

/** The storage of regions. Keys are region keys. */
export interface KvEngine {
  /** Checks a context for a command of the leader's; see raftstore/request_check.ts. */
  check(header: RequestHeader): Reply<ReadDelegate>;
  /**
   * Checks a context and calls `use` once, at a moment when everything that was acknowledged before
   * this call can be read: in this turn while the leader holds its lease, else after the log's
   * confirmation. `use` reads, or takes its snapshot, before it returns. A follower has the leader
   * make `check` when it confirms; on the leader itself the caller has made it.
   */
  read<T>(
    header: ReadHeader,
    use: (peer: ReadDelegate) => Reply<T>,
    check?: LeaderCheck<T>,
  ): Reply<T> | Promise<Reply<T>>;
  /** Point reads of the newest state, for `use` of `read`; the caller has checked the keys. */
  latest(): RawPointReader;
  /** A snapshot of now, for `use` of `read`. */
  snapshot(peer: ReadDelegate): RegionSnapshot;
  newBatch(): WriteBatch;
  /**
   * Replicates a batch whose keys were checked with this header; it belongs to the callee. Resolves
   * when it is applied. Writes of one region take effect in the order of the calls. With a term in
   * the header, the batch is refused after another peer has led the region.
   */
  write(
    peer: ReadDelegate,
    header: RequestHeader,
    batch: WriteBatch,
    kind: WriteKind,
  ): Promise<Reply<void>>;
}

/** An engine snapshot as a view of one region, with its bounds as of now. */
export class BoundedSnapshot implements RegionSnapshot {
  /** As the region was when the snapshot was taken: it may be split while the snapshot lives. */
  private readonly region: RegionInfo;

  constructor(
    readonly peer: ReadDelegate,
    private readonly inner: Snapshot,
  ) {
    this.region = peer.region;
  }

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    return this.inner.get(cf, dataKey(key));
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return this.inner.multiGet(cf, keys.map(dataKey));
  }

  cursor(cf: CfName, lower: Uint8Array, upper: Uint8Array, keysOnly: boolean): RawCursor {
    return new RegionCursor(this.iterate(cf, lower, upper, { keysOnly, fillCache: false }));
  }

  iterate(
    cf: CfName,
    lower: Uint8Array,
    upper: Uint8Array,
    options: Pick<IterOptions, "keysOnly" | "fillCache">,
  ): Iter {
    const { keysOnly = false, fillCache = true } = options;
    const bounds = clip(lower, upper, this.region);
    return this.inner.iterate(cf, {
      lower: bounds.lower,
      upper: bounds.upper,
      keysOnly,
      fillCache,
    });
  }

  multiGetArena(request: ArenaGet): ArenaGetResult {
    return this.inner.multiGetArena(request);
  }

  provenEmpty(cf: CfName, lower: Uint8Array, upper: Uint8Array): boolean {
    const bounds = clip(lower, upper, this.region);
    return this.inner.provenEmpty(cf, bounds.lower, bounds.upper);
  }

  close(): void {
    this.inner.close();
  }
}

/** The engine bounds of `[lower, upper)` inside a region. An empty range stays empty. */
function clip(
  lower: Uint8Array,
  upper: Uint8Array,
  { startKey, endKey }: RegionInfo,
): { lower: Uint8Array; upper: Uint8Array } {
  const low = dataKey(Buffer.compare(lower, startKey) < 0 ? startKey : lower);
  const open = upper.length === 0;
  const beyond = endKey.length > 0 && (open || Buffer.compare(upper, endKey) > 0);
  const high = dataEndKey(beyond ? endKey : upper);
  return { lower: low, upper: Buffer.compare(low, high) > 0 ? low : high };
}

/** Checks that `[start, end)` lies in a region; an empty end is the end of all keys. */
export function checkRangeInRegion(
  start: Uint8Array,
  end: Uint8Array,
  region: RegionInfo,
): Failure | undefined {
  const beyond =
    region.endKey.length > 0 && (end.length === 0 || Buffer.compare(end, region.endKey) > 0);
  const outside =
    checkKeysInRegion([start], region) ?? (beyond ? keyNotInRegion(end, region) : undefined);
  return outside === undefined ? undefined : regionFailure(outside);
}
