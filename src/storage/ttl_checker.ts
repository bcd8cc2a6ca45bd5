/**
 * The background pass over raw data with a TTL: removes what is expired, which reads no longer
 * show. In V2 it also removes versions below the newest, and tombstones with what they cover. The
 * leader of a region does it, through Raft.
 *
 * A key is removed only if it still holds the value that was found: the pass takes the key's latch
 * and a moment without writes of the region under way (`exclusive`), reads again, and submits the
 * delete before any later write. Without that, a put between read and delete would be lost. V2
 * needs no such care: a version is never overwritten.
 *
 * Bounded: one slice of keys at a time, then the event loop gets its turn.
 * Source of the config and metrics: tikv src/server/ttl/ttl_checker.rs (which compacts files).
 */
import { type Clock, equalBytes, type Logger, nextKey, ok } from "../base/index.js";
import { dataKey } from "../codec/index.js";
import type { WriteBatch } from "../engine/index.js";
import type { ReadDelegate, RequestHeader } from "../raftstore/index.js";
import { type RawFormat, removable, sameUserKey } from "../raw/index.js";
import type { LatchQueue } from "./latches.js";
import type { StorageMetrics } from "./metrics.js";
import type { RaftKv } from "./raft_kv.js";
import { nowSeconds } from "./raw_context.js";
import type { Reply } from "./types.js";

const SLICE_KEYS = 256;
const SLICE_BYTES = 256 * 1024;
const NO_KEY = new Uint8Array(0);

export interface TtlCheckerDeps {
  readonly format: RawFormat;
  readonly kv: RaftKv;
  readonly latches: LatchQueue;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: StorageMetrics;
  peers(): readonly ReadDelegate[];
}

interface Found {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class TtlChecker {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private round: Promise<void> = Promise.resolve();

  constructor(
    private readonly intervalMs: number,
    private readonly deps: TtlCheckerDeps,
  ) {}

  /** Runs a round after each interval; none for 0 or for data without TTL. */
  start(): void {
    if (this.intervalMs === 0 || !this.deps.format.ttlEnabled || this.stopped) return;
    this.timer = setTimeout(() => {
      this.round = this.runOnce()
        .catch((error: unknown) => {
          this.deps.metrics.onTtlAction("error");
          this.deps.logger.error("ttl checker failed", {}, error);
        })
        .then(() => this.start());
    }, this.intervalMs);
    this.timer.unref();
  }

  /** Resolves when no round is under way and none will follow. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.round;
  }

  /** Passes over all regions that this store leads. */
  async runOnce(): Promise<void> {
    const { metrics, peers } = this.deps;
    metrics.ttlProcessedRegions = 0;
    for (const peer of peers()) {
      if (peer.isLeader) await this.checkRegion(peer.regionId, headerOf(peer));
      metrics.ttlProcessedRegions++;
    }
    metrics.onTtlAction("finish");
  }

  /** Ends at the region's end, or once it has another epoch or leader: the next round goes on. */
  private async checkRegion(regionId: number, header: RequestHeader): Promise<void> {
    let from: Uint8Array | undefined;
    let before: Uint8Array | undefined;
    while (!this.stopped) {
      const read = await this.deps.kv.read(
        { ...header, replicaRead: false, staleRead: false },
        (peer) => ok(this.readSlice(peer, from ?? peer.region.startKey, before)),
      );
      if (!read.ok) return;
      const { dead, last, ended } = read.value;
      if (dead.length > 0) {
        const removed = this.deps.format.versioned
          ? await this.removeVersions(header, dead)
          : await this.removeIfUnchanged(regionId, header, dead);
        if (!removed.ok) return;
      }
      if (ended || last === undefined) return;
      await new Promise<void>((resolve) => setImmediate(resolve));
      before = last;
      from = nextKey(last);
    }
  }

  private readSlice(
    peer: ReadDelegate,
    from: Uint8Array,
    before: Uint8Array | undefined,
  ): { dead: Found[]; last: Uint8Array | undefined; ended: boolean } {
    const { format, kv, clock } = this.deps;
    const snapshot = kv.snapshot(peer);
    const cursor = snapshot.cursor("default", from, NO_KEY, false);
    try {
      cursor.seekToFirst();
      const taken = cursor.take(SLICE_KEYS, SLICE_BYTES);
      const ended = !cursor.valid;
      // The last key's versions may go on in the next slice: it starts with them, unless they fill
      // this one.
      const head = format.versioned && !ended ? lastUserKey(taken.keys) : 0;
      const cut = head === 0 ? taken.keys.length : head;
      const slice = {
        keys: taken.keys.slice(0, cut),
        values: taken.values.slice(0, cut),
        before,
        ended: ended || head > 0,
      };
      const dead = removable(format, slice, nowSeconds(clock)).map((i) => ({
        key: slice.keys[i] as Uint8Array,
        value: slice.values[i] as Uint8Array,
      }));
      return { dead, last: slice.keys[cut - 1], ended };
    } finally {
      cursor.close();
      snapshot.close();
    }
  }

  private removeIfUnchanged(
    regionId: number,
    header: RequestHeader,
    found: readonly Found[],
  ): Promise<Reply<void>> {
    const { latches, kv, metrics } = this.deps;
    const keys = found.map((one) => one.key);
    return latches.with(keys, () =>
      kv.exclusive(header, regionId, () => {
        const batch = kv.newBatch();
        const current = kv.latest().multiGet("default", keys);
        current.forEach((value, i) => {
          const { key, value: expected } = found[i] as Found;
          if (value !== undefined && equalBytes(value, expected))
            batch.delete("default", dataKey(key));
        });
        metrics.onTtlAction("changed", found.length - batch.count);
        if (batch.count === 0) return undefined;
        this.onSubmit(batch);
        return batch;
      }),
    );
  }

  private async removeVersions(
    header: RequestHeader,
    found: readonly Found[],
  ): Promise<Reply<void>> {
    const { kv } = this.deps;
    const peer = kv.check(header);
    if (!peer.ok) return peer;
    const batch = kv.newBatch();
    for (const { key } of found) batch.delete("default", dataKey(key));
    this.onSubmit(batch);
    return kv.write(peer.value, header, batch, { frees: true });
  }

  private onSubmit(batch: WriteBatch): void {
    this.deps.metrics.onTtlAction("delete");
    this.deps.metrics.onTtlAction("removed", batch.count);
  }
}

/** A leader's own header: refused once the region has another epoch or has been led by another. */
function headerOf({ region, self, term }: ReadDelegate): RequestHeader {
  const { id, confVer, version } = region;
  return { regionId: id, confVer, version, peerId: self.id, storeId: self.storeId, term };
}

/** The index of the first version of the last user key. */
function lastUserKey(keys: readonly Uint8Array[]): number {
  let head = keys.length - 1;
  const last = keys[head];
  if (last === undefined) return 0;
  while (head > 0 && sameUserKey(keys[head - 1] as Uint8Array, last)) head--;
  return head;
}
