/**
 * Reads of ranges, in slices (read_pool.ts): KvScan, ScanLock, MvccGetByStartTs. What comes before
 * the data is in txn_read_gate.ts; the order of its steps holds when the read leaves the queue.
 * Source: tikv src/storage/mod.rs scan, scan_lock.
 */
import { compareBytes, EMPTY_BYTES, ok } from "../base/index.js";
import { keyToRaw } from "../codec/index.js";
import { MvccReader, PointGetter, type ReadPoint, Scanner, Statistics } from "../mvcc/index.js";
import { keyNotInRegion, type ReadDelegate } from "../raftstore/index.js";
import type { LockInfo, MvccInfo } from "../txn/index.js";
import { type Failure, regionFailure } from "./errors.js";
import type { RegionSnapshot } from "./kv_engine.js";
import { keysFailure } from "./raw_context.js";
import type { ReadPool, SlicedRead } from "./read_pool.js";
import { deadlineFailure, failed, type TxnFailure } from "./txn_errors.js";
import type { MemoryLockKeeper } from "./txn_lock_keeper.js";
import {
  type ReadGate,
  type ReadGateDeps,
  type ReadPlace,
  readPointOf,
  refuseRange,
  refuseRead,
  unwrapOne,
} from "./txn_read_gate.js";
import { ReadRun } from "./txn_read_run.js";
import { TxnSnapshot } from "./txn_snapshot.js";
import type {
  ExecDetails,
  ScanLockRequest,
  TxnContext,
  TxnPair,
  TxnReply,
  TxnScanRequest,
} from "./txn_types.js";
import type { ReadReply, Reply } from "./types.js";

/** Where a read looks, why that is not in a peer's region, and why it may not look there at all. */
interface RegionPlace {
  readonly place: ReadPlace;
  readonly outside: (peer: ReadDelegate) => Failure | undefined;
  readonly refused?: TxnFailure | undefined;
}

/** A read that was opened, or what it answers without data. */
type Opened<T> = Reply<SlicedRead<TxnReply<T>>>;

/** A sliced read whose answer is known already. */
function settled<T>(reply: TxnReply<T>): Opened<T> {
  return ok({ bytes: 0, step: () => true, result: () => reply, close: () => undefined });
}

/** A key that no key is below: with itself it makes an empty range. */
const EMPTY_RANGE = Uint8Array.of(0);

export class TxnScans {
  constructor(
    private readonly deps: ReadGateDeps,
    private readonly gate: ReadGate,
    private readonly pool: ReadPool,
    private readonly memoryLocks: MemoryLockKeeper,
  ) {}

  scan(
    ctx: TxnContext,
    request: TxnScanRequest,
    details: ExecDetails,
  ): Promise<TxnReply<readonly TxnPair[]>> {
    const { startKey, endKey, reverse, version } = request;
    const run = new ReadRun(this.deps, "scan", ctx, [startKey], details);
    const [lower, upper] = reverse ? [endKey, startKey] : [startKey, endKey];
    // To a backward scan an empty start is below all keys, as in TiKV.
    const range =
      reverse && startKey.length === 0
        ? { lower: EMPTY_RANGE, upper: EMPTY_RANGE }
        : { lower, upper };
    const place = { start: range.lower, end: range.upper };
    const outside = (peer: ReadDelegate) => startFailure(startKey, peer);
    const refused = refuseRange(this.deps, run.tag, ctx, lower, upper);
    return this.pooled<readonly TxnPair[]>(run, version, { place, outside, refused }, (point) => {
      const blocked = this.gate.blocked(run, point, place);
      if (blocked !== undefined) return blocked;
      return (snapshot) => new ScanRead(this.deps, run, snapshot, point, { ...request, ...range });
    });
  }

  /** Many keys, in slices. */
  batchGet(
    run: ReadRun,
    keys: readonly Uint8Array[],
    version: bigint,
  ): Promise<TxnReply<readonly TxnPair[]>> {
    const place = { keys };
    const outside = (peer: ReadDelegate) => keysFailure(keys, peer);
    const refused = refuseRead(this.deps, run.tag, run.ctx, keys);
    return this.pooled<readonly TxnPair[]>(run, version, { place, outside, refused }, (point) => {
      const blocked = this.gate.blocked(run, point, place);
      if (blocked !== undefined) return blocked;
      return (snapshot) => new BatchGetRead(run, snapshot, point, keys);
    });
  }

  /**
   * On the leader alone; a lock in memory that may be meant ends the request. Of no API version: who
   * collects garbage goes by regions, whose bounds are those of other modes.
   */
  scanLock(
    ctx: TxnContext,
    request: ScanLockRequest,
    details: ExecDetails,
  ): Promise<TxnReply<readonly LockInfo[]>> {
    const { startKey, endKey, maxVersion } = request;
    const leader = { ...ctx, replicaRead: false, staleRead: false };
    const run = new ReadRun(this.deps, "scan_lock", leader, [startKey], details);
    const place = { start: startKey, end: endKey };
    const outside = (peer: ReadDelegate) => startFailure(startKey, peer);
    return this.pooled<readonly LockInfo[]>(run, maxVersion, { place, outside }, () => {
      const blocking = this.memoryLock(startKey, endKey, maxVersion);
      if (blocking !== undefined) return failed({ kind: "keyIsLocked", lock: blocking });
      return (snapshot) => {
        // Of this moment: a lock that a write replaces later is in neither the table nor the snapshot.
        const { peer } = snapshot;
        const held = this.memoryLocks.copyOf({ peer, term: peer.term }, startKey, endKey);
        const view = new TxnSnapshot(snapshot, false, held);
        return new LockScanRead(run, snapshot, view, request);
      };
    });
  }

  /** Looks through the whole region. */
  mvccByStartTs(
    ctx: TxnContext,
    startTs: bigint,
  ): Promise<TxnReply<{ readonly key: Uint8Array; readonly info: MvccInfo } | undefined>> {
    const details = emptyDetails();
    const current = { ...ctx, staleRead: false };
    const run = new ReadRun(this.deps, "start_ts_mvcc", current, [], details);
    type Found = { readonly key: Uint8Array; readonly info: MvccInfo } | undefined;
    const refused = refuseRead(this.deps, run.tag, ctx, []);
    const whole = { place: { keys: [] }, outside: () => undefined, refused };
    return this.pooled<Found>(run, 0n, whole, () => (snapshot) => {
      return new StartTsRead(run, snapshot, startTs);
    });
  }

  /** Runs a read in the pool; `begin` is called when it leaves the queue. */
  private async pooled<T>(
    run: ReadRun,
    ts: bigint,
    { place, outside, refused }: RegionPlace,
    begin: (
      point: ReadPoint,
    ) => TxnReply<T> | ((snapshot: RegionSnapshot) => SlicedRead<TxnReply<T>>),
  ): Promise<TxnReply<T>> {
    const { ctx } = run;
    if (refused !== undefined) return refused;
    const raised = await this.gate.raised<undefined>(ctx, ts, () => ok(undefined));
    if (!raised.ok) return run.end(raised);
    const reply = await this.pool.run<TxnReply<T>>((): ReadReply<SlicedRead<TxnReply<T>>> => {
      const begun = begin(readPointOf(ctx, ts));
      if (typeof begun !== "function") return settled(begun);
      return this.gate.open<SlicedRead<TxnReply<T>>>(ctx, ts, place, {
        outside,
        onBlocked: (lock) => settled(failed({ kind: "keyIsLocked", lock })),
        use: (snapshot) => {
          run.onSnapshot(snapshot.peer);
          return ok(begun(snapshot));
        },
      });
    });
    return run.end(unwrapOne(reply));
  }

  private memoryLock(start: Uint8Array, end: Uint8Array, maxTs: bigint): LockInfo | undefined {
    const found = this.deps.concurrencyManager.readRangeCheck<LockInfo>(start, end, (key, lock) =>
      lock.startTs <= maxTs ? { key: keyToRaw(key), lock } : undefined,
    );
    return found.ok ? undefined : found.error;
  }
}

function emptyDetails(): ExecDetails {
  const statistics = new Statistics();
  return { statistics, waitMs: 0, processMs: 0, latchWaitMs: 0, writeMs: 0, lockWaitMs: 0 };
}

/** Checks that a scan can start in the region: its first key is inside or is the region's end. */
function startFailure(start: Uint8Array, { region }: ReadDelegate): Failure | undefined {
  const inside =
    compareBytes(start, region.startKey) >= 0 &&
    (region.endKey.length === 0 || compareBytes(start, region.endKey) <= 0);
  return inside ? undefined : regionFailure(keyNotInRegion(start, region));
}

/** KvBatchGet of many keys. */
class BatchGetRead implements SlicedRead<TxnReply<readonly TxnPair[]>> {
  private readonly getter: PointGetter;
  private readonly pairs: TxnPair[] = [];
  private next = 0;
  private isLate = false;

  constructor(
    private readonly run: ReadRun,
    private readonly snapshot: RegionSnapshot,
    point: ReadPoint,
    private readonly keys: readonly Uint8Array[],
  ) {
    const view = new TxnSnapshot(snapshot, run.ctx.fillCache);
    this.getter = new PointGetter(view, run.details.statistics, point);
  }

  get bytes(): number {
    return this.getter.statistics.processedSize;
  }

  step(maxItems: number): boolean {
    this.isLate = this.run.isLate;
    if (this.isLate) return true;
    const keys = this.keys.slice(this.next, this.next + maxItems);
    this.next += keys.length;
    for (const pair of this.getter.getMany(keys)) if (pair !== undefined) this.pairs.push(pair);
    return this.next >= this.keys.length;
  }

  result(): TxnReply<readonly TxnPair[]> {
    return this.isLate ? deadlineFailure() : ok(this.pairs);
  }

  close(): void {
    this.getter.close();
    this.snapshot.close();
  }
}

/** KvScan. */
class ScanRead implements SlicedRead<TxnReply<readonly TxnPair[]>> {
  private readonly scanner: Scanner;
  private isLate = false;

  constructor(
    { openScan }: Pick<ReadGateDeps, "openScan">,
    private readonly run: ReadRun,
    private readonly snapshot: RegionSnapshot,
    point: ReadPoint,
    options: TxnScanRequest & { readonly lower: Uint8Array; readonly upper: Uint8Array },
  ) {
    const view = new TxnSnapshot(snapshot, run.ctx.fillCache);
    this.scanner = new Scanner(view, run.details.statistics, point, options, openScan);
  }

  get bytes(): number {
    return this.scanner.statistics.processedSize;
  }

  step(maxItems: number): boolean {
    this.isLate = this.run.isLate;
    if (this.isLate) return true;
    this.scanner.step(maxItems);
    return this.scanner.done;
  }

  result(): TxnReply<readonly TxnPair[]> {
    if (this.isLate) return deadlineFailure();
    const { error, pairs } = this.scanner;
    return error === undefined ? ok(pairs) : failed(error);
  }

  close(): void {
    this.scanner.close();
    this.snapshot.close();
  }
}

/** ScanLock: locks that are stored, and pessimistic ones in memory. */
class LockScanRead implements SlicedRead<TxnReply<readonly LockInfo[]>> {
  bytes = 0;
  private readonly reader: MvccReader;
  private readonly locks: LockInfo[] = [];
  private from: Uint8Array;
  private isLate = false;

  constructor(
    private readonly run: ReadRun,
    private readonly snapshot: RegionSnapshot,
    view: TxnSnapshot,
    private readonly request: ScanLockRequest,
  ) {
    this.reader = new MvccReader(view, run.details.statistics);
    this.from = request.startKey;
  }

  step(maxItems: number): boolean {
    const { endKey, limit, maxVersion } = this.request;
    this.isLate = this.run.isLate;
    if (this.isLate) return true;
    const wanted = limit === 0 ? 0 : limit - this.locks.length;
    const scanned = this.reader.scanLocks(
      this.from,
      endKey,
      (_key, lock) => lock.startTs <= maxVersion,
      wanted,
      maxItems,
    );
    for (const { key, lock } of scanned.locks) {
      this.bytes += key.length + lock.primary.length + (lock.shortValue?.length ?? 0);
      this.locks.push({ key: keyToRaw(key), lock });
    }
    this.from = scanned.nextKey;
    return !scanned.hasRemaining || (limit > 0 && this.locks.length >= limit);
  }

  result(): TxnReply<readonly LockInfo[]> {
    return this.isLate ? deadlineFailure() : ok(this.locks);
  }

  close(): void {
    this.reader.close();
    this.snapshot.close();
  }
}

/** MvccGetByStartTs. */
class StartTsRead
  implements SlicedRead<TxnReply<{ readonly key: Uint8Array; readonly info: MvccInfo } | undefined>>
{
  readonly bytes = 0;
  private readonly reader: MvccReader;
  private from: Uint8Array = EMPTY_BYTES;
  private key: Uint8Array | undefined;
  private isLate = false;

  constructor(
    private readonly run: ReadRun,
    private readonly snapshot: RegionSnapshot,
    private readonly startTs: bigint,
  ) {
    this.reader = new MvccReader(new TxnSnapshot(snapshot, false), run.details.statistics);
  }

  step(maxItems: number): boolean {
    this.isLate = this.run.isLate;
    if (this.isLate) return true;
    const found = this.reader.seekTs(this.startTs, this.from, maxItems);
    if (found.type === "found") this.key = found.key;
    if (found.type === "more") this.from = found.nextKey;
    return found.type !== "more";
  }

  result(): TxnReply<{ readonly key: Uint8Array; readonly info: MvccInfo } | undefined> {
    if (this.isLate) return deadlineFailure();
    const { key } = this;
    return ok(key === undefined ? undefined : { key, info: this.reader.mvccInfo(key) });
  }

  close(): void {
    this.reader.close();
    this.snapshot.close();
  }
}
