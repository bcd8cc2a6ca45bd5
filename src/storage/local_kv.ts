/**
 * KvEngine straight on an Engine: a region's data is read from its newest state or a snapshot, and
 * a write is acknowledged after the batch that holds it is synced. raft_kv.ts will implement the
 * same interface through proposals.
 *
 * Invariant: writes take effect in the order of `write` and `writeBytes` calls (the engine's
 * submission queue), `exclusive` sections included.
 */
import { assert, TikvError } from "../base/index.js";
import { dataEndKey, dataKey } from "../codec/index.js";
import {
  type CfName,
  type Engine,
  type Entries,
  type Iter,
  representationCount,
  type Snapshot,
  type WriteBatch,
} from "../engine/index.js";
import {
  checkKeysInRegion,
  keyNotInRegion,
  type Peer,
  type RegionInfo,
  type RequestHeader,
  type Store,
} from "../raftstore/index.js";
import type { RawCursor, RawPointReader, RawReader } from "../raw/index.js";
import {
  busyFailure,
  closingFailure,
  diskFullFailure,
  entryTooLargeFailure,
  type Failure,
  regionFailure,
} from "./errors.js";
import type { WriteQuota } from "./flow_control.js";
import type { Reply } from "./types.js";

const SYNC = { sync: true } as const;

/** A consistent view of one region, bounded by it. Close it. */
export interface RegionSnapshot extends RawReader {
  readonly peer: Peer;
  close(): void;
}

/** What a write does beside its records. */
export interface WriteKind {
  /** Deletes go on while the disk is full: they are what makes room. */
  readonly frees: boolean;
}

/** The storage of regions, as commands see it. Keys are region keys. */
export interface KvEngine {
  /** Checks a context; see raftstore/request_check.ts. */
  check(header: RequestHeader): Reply<Peer>;
  /** Point reads of the newest state; the caller reads in this turn and has checked the keys. */
  latest(): RawPointReader;
  snapshot(peer: Peer): RegionSnapshot;
  newBatch(): WriteBatch;
  write(peer: Peer, batch: WriteBatch, kind: WriteKind): Promise<Reply<void>>;
}

class DataCursor implements RawCursor {
  constructor(private readonly iter: Iter) {}

  get valid(): boolean {
    return this.iter.valid;
  }

  seekToFirst(): boolean {
    return this.iter.seekToFirst();
  }

  seekToLast(): boolean {
    return this.iter.seekToLast();
  }

  take(maxItems: number, maxBytes: number, reverse = false): Entries {
    const { keys, values } = this.iter.take(maxItems, maxBytes, reverse);
    return { keys: keys.map((key) => key.subarray(1)), values };
  }

  close(): void {
    this.iter.close();
  }
}

class LocalSnapshot implements RegionSnapshot {
  constructor(
    readonly peer: Peer,
    private readonly inner: Snapshot,
  ) {}

  get(cf: CfName, key: Uint8Array): Uint8Array | undefined {
    return this.inner.get(cf, dataKey(key));
  }

  multiGet(cf: CfName, keys: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    return this.inner.multiGet(cf, keys.map(dataKey));
  }

  cursor(cf: CfName, lower: Uint8Array, upper: Uint8Array, keysOnly: boolean): RawCursor {
    const bounds = clip(lower, upper, this.peer.region);
    return new DataCursor(this.inner.iterate(cf, { ...bounds, keysOnly, fillCache: false }));
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

export interface LocalKvOptions {
  readonly raftEntryMaxSizeBytes: number;
}

export class LocalKv implements KvEngine {
  private inFlight = 0;
  private closed = false;
  /** Set while an exclusive section waits or runs: new writes queue behind it. */
  private gate: Promise<void> | undefined;
  private drained: (() => void) | undefined;

  constructor(
    private readonly options: LocalKvOptions,
    private readonly engine: Engine,
    private readonly store: Store,
    private readonly quota: WriteQuota,
  ) {}

  check(header: RequestHeader): Reply<Peer> {
    if (this.closed) return closingFailure();
    const found = this.store.check(header);
    return found.ok ? found : regionFailure(found.error);
  }

  latest(): RawPointReader {
    return {
      get: (cf, key) => this.engine.get(cf, dataKey(key)),
      multiGet: (cf, keys) => this.engine.multiGet(cf, keys.map(dataKey)),
    };
  }

  snapshot(peer: Peer): RegionSnapshot {
    return new LocalSnapshot(peer, this.engine.snapshot());
  }

  newBatch(): WriteBatch {
    return this.engine.newWriteBatch();
  }

  write(peer: Peer, batch: WriteBatch, kind: WriteKind): Promise<Reply<void>> {
    const { sizeBytes, count } = batch;
    if (sizeBytes > this.options.raftEntryMaxSizeBytes) {
      return Promise.resolve(entryTooLargeFailure(peer.region.id, sizeBytes));
    }
    return this.admitted(sizeBytes, kind, () => {
      peer.onWritten(count, sizeBytes);
      return this.engine.write(batch, SYNC);
    });
  }

  /** As `write`, for the batch path: the caller has checked region and sizes in this turn. */
  writeBytes(representation: Uint8Array): Promise<Reply<void>> {
    // Behind a gate the caller's buffer would be reused before the engine copies it.
    const bytes = this.gate === undefined ? representation : representation.slice();
    return this.admitted(bytes.length, { frees: false }, () => {
      this.store.peers()[0]?.onWritten(representationCount(bytes), bytes.length);
      return this.engine.writeBytes(bytes, SYNC);
    });
  }

  /**
   * Runs `section` at a moment when no write is under way, so that what it reads is what a write
   * that it submits finds. Later writes wait until it has submitted. One section at a time.
   */
  async exclusive(section: () => Promise<void>): Promise<void> {
    while (this.gate !== undefined) await this.gate;
    let open = (): void => {};
    this.gate = new Promise((resolve) => {
      open = resolve;
    });
    if (this.inFlight > 0) {
      await new Promise<void>((resolve) => {
        this.drained = resolve;
      });
    }
    assert(this.inFlight === 0, "an exclusive section starts when no write is under way");
    try {
      const done = section();
      this.gate = undefined;
      open();
      await done;
    } finally {
      this.gate = undefined;
      open();
    }
  }

  /** Refuses new requests and resolves when the writes under way are answered. */
  async stop(): Promise<void> {
    this.closed = true;
    while (this.inFlight > 0) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  private refusal(sizeBytes: number, kind: WriteKind): Failure | undefined {
    if (this.closed) return closingFailure();
    if (this.store.disk.refuses(kind.frees)) return diskFullFailure(this.store.storeId);
    return this.quota.tryAcquire(sizeBytes) ? undefined : busyFailure();
  }

  private async admitted(
    sizeBytes: number,
    kind: WriteKind,
    submit: () => Promise<void>,
  ): Promise<Reply<void>> {
    const refused = this.refusal(sizeBytes, kind);
    if (refused !== undefined) return refused;
    try {
      while (this.gate !== undefined) await this.gate;
      await this.submitted(submit);
      return { ok: true, value: undefined };
    } catch (error) {
      if (error instanceof TikvError && error.code === "RUTILE:Engine:Busy") return busyFailure();
      throw error;
    } finally {
      this.quota.release(sizeBytes);
    }
  }

  private async submitted(submit: () => Promise<void>): Promise<void> {
    this.inFlight++;
    try {
      await submit();
    } finally {
      this.inFlight--;
      if (this.inFlight === 0) this.drained?.();
    }
  }
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
