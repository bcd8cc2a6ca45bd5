/**
 * Shrinks the logs of regions. Two halves: up to where the leader proposes to compact (a pure
 * rule, asked at its gc tick), and the deletion of entries after CompactLog was applied.
 *
 * Deletions are not synced. The log and the applied index lie in one engine whose writes keep
 * their order through a crash, so it is enough that the deletion of an entry is submitted after
 * the write of the applied and truncated index that cover it.
 * Source: tikv raftstore/store/fsm/peer.rs on_raft_gc_log_tick, store/worker/raftlog_gc.rs.
 */
import { assert, type Timers } from "../../base/index.js";
import { parseRaftLogKey, raftLogKey, raftLogRange } from "../../codec/index.js";
import type { EnginePort } from "../engine_port.js";
import type { ReplicationOptions } from "../options.js";
import { BUSY_RETRY_MS, takeSnapshot } from "../snapshot/delete_range.js";

export type RaftLogGcOptions = Pick<
  ReplicationOptions,
  | "raftLogGcThreshold"
  | "raftLogGcCountLimit"
  | "raftLogGcSizeLimitBytes"
  | "raftLogReserveMaxTicks"
>;

/** What the leader knows of its log. All indexes inclusive. */
export interface RaftLogView {
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly appliedIndex: number;
  /** Up to where the leader's own log is durable. */
  readonly persistedIndex: number;
  /** Matched index of every peer of the region, the leader among them. */
  readonly matched: readonly number[];
  /** Approximate bytes of the entries in the log. */
  readonly sizeBytes: number;
  /** Ticks in a row that ended without a compaction. */
  readonly skippedTicks: number;
}

/**
 * Returns the last index to be compacted, or undefined: not now, and the tick counts as skipped.
 * A log above its limits is compacted even if a peer that lags needs a snapshot then; otherwise
 * only what every peer has goes, and only when it is worth it. One entry stays: what is applied
 * last is still asked for when the next append is matched.
 */
export function compactIndexOf(view: RaftLogView, options: RaftLogGcOptions): number | undefined {
  const { firstIndex, lastIndex, appliedIndex, persistedIndex } = view;
  const replicated = Math.min(lastIndex, ...view.matched);
  const tooLong =
    appliedIndex - firstIndex >= options.raftLogGcCountLimit ||
    view.sizeBytes >= options.raftLogGcSizeLimitBytes;
  let index: number;
  if (appliedIndex > firstIndex && tooLong) {
    index = Math.max(firstIndex + Math.floor((lastIndex - firstIndex) / 2), replicated);
  } else {
    const few = replicated - firstIndex < options.raftLogGcThreshold;
    const early = view.skippedTicks < options.raftLogReserveMaxTicks;
    if (replicated < firstIndex || lastIndex - firstIndex < 3 || (few && early)) return undefined;
    index = replicated;
  }
  index = Math.min(index, appliedIndex, persistedIndex) - 1;
  return index < firstIndex ? undefined : index;
}

/** Entries that one batch deletes. */
const SLICE_ENTRIES = 1024;

interface GcTask {
  readonly regionId: number;
  /** Entries below it go. */
  endIndex: number;
}

/** Deletes entries of compacted logs in slices, region after region. */
export class RaftLogGc {
  /** At most one task a region. */
  private readonly tasks = new Map<number, GcTask>();
  /** First index that may still be on disk, by region; unknown after a start. */
  private readonly firstOnDisk = new Map<number, number>();
  private running = false;
  private isClosed = false;
  private cancelTimer = (): void => {};
  deletedEntries = 0;

  constructor(
    private readonly port: EnginePort,
    private readonly timers: Timers,
  ) {}

  /** Regions whose entries wait to be deleted. */
  get pending(): number {
    return this.tasks.size;
  }

  /**
   * Deletes the entries of a region below `endIndex`, later. To be called after the write of an
   * apply state whose truncated index is `endIndex - 1` was submitted.
   */
  gc(regionId: number, endIndex: number): void {
    const task = this.tasks.get(regionId);
    if (task === undefined) this.tasks.set(regionId, { regionId, endIndex });
    else task.endIndex = Math.max(task.endIndex, endIndex);
    this.schedule();
  }

  /** The peer was destroyed, or its log was replaced by a snapshot: nothing is deleted any more. */
  forget(regionId: number): void {
    this.tasks.delete(regionId);
    this.firstOnDisk.delete(regionId);
  }

  /** Deletes nothing any more: the engine may be closed. */
  close(): void {
    this.isClosed = true;
    this.cancelTimer();
  }

  private schedule(delayMs = 0): void {
    if (this.isClosed || this.running || this.tasks.size === 0) return;
    this.running = true;
    this.cancelTimer = this.timers.after(delayMs, () => this.slice());
  }

  private slice(): void {
    this.running = false;
    const task = this.tasks.values().next().value;
    if (task === undefined) return;
    const { regionId, endIndex } = task;
    const from = this.firstOnDisk.get(regionId) ?? this.findFirst(regionId, endIndex);
    if (from === undefined) {
      this.schedule(BUSY_RETRY_MS);
      return;
    }
    const to = Math.min(endIndex, from + SLICE_ENTRIES);
    if (to === endIndex) this.tasks.delete(regionId);
    this.firstOnDisk.set(regionId, Math.max(from, to));
    if (from >= to) {
      this.schedule();
      return;
    }
    const batch = this.port.engine.newWriteBatch();
    for (let index = from; index < to; index++) {
      batch.delete("raft", raftLogKey(BigInt(regionId), BigInt(index)));
    }
    this.deletedEntries += to - from;
    this.running = true;
    this.port.write(batch.bytes(), false, () => {
      this.running = false;
      this.schedule();
    });
  }

  /**
   * Returns where the entries on disk begin: a crash may have left some behind that a compaction
   * before it covers. undefined when all snapshot handles are in use.
   */
  private findFirst(regionId: number, endIndex: number): number | undefined {
    const range = raftLogRange(BigInt(regionId), 0n, BigInt(endIndex));
    const snapshot = takeSnapshot(this.port);
    if (snapshot === undefined) return undefined;
    const options = { lower: range.start, upper: range.end, keysOnly: true };
    const iter = snapshot.iterate("raft", options);
    try {
      if (!iter.seekToFirst()) return endIndex;
      const parsed = parseRaftLogKey(iter.key());
      assert(parsed?.regionId === BigInt(regionId), "the range of a log holds its entries only");
      return Number(parsed.index);
    } finally {
      iter.close();
      snapshot.close();
    }
  }
}
