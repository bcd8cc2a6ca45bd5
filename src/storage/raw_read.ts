/**
 * Raw reads. Point reads answer in the turn of the request unless the log has to confirm them;
 * scans and checksums are sliced (read_pool.ts). Order of checks: API version, context, CF, keys.
 * Source: tikv src/storage/mod.rs raw_get … raw_checksum.
 */
import { compareBytes, ok } from "../base/index.js";
import { API_VERSION } from "../codec/index.js";
import type { CfName } from "../engine/index.js";
import { keyNotInRegion, type ReadDelegate } from "../raftstore/index.js";
import {
  type Crc64Pairs,
  checkKeyRanges,
  endOfRange,
  GET_TTL_ON_NON_TTL_STORE,
  getStored,
  INVALID_KEY_RANGES,
  RawChecksum,
  type RawCommand,
  type RawCursor,
  RawScan,
  rawCf,
  type UserRange,
} from "../raw/index.js";
import { keyFailure, regionFailure } from "./errors.js";
import type { RegionSnapshot } from "./kv_engine.js";
import {
  keysFailure,
  nowSeconds,
  type RawDeps,
  rangeVersionFailure,
  versionFailure,
} from "./raw_context.js";
import type { ReadPool, SlicedRead } from "./read_pool.js";
import type {
  ChecksumResult,
  KvPair,
  RawScanOptions,
  ReadReply,
  Reply,
  RequestContext,
} from "./types.js";

/** A checked point read: where to read and which encoded keys. */
interface PointRead {
  readonly peer: ReadDelegate;
  readonly cf: CfName;
  readonly keys: readonly Uint8Array[];
}

/** A range of a scan in region keys, bounded for the cursor. */
interface ScanRange {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array;
  /** Where the scan starts; must be reachable in the region. */
  readonly seek: Uint8Array;
}

export class RawReads {
  constructor(
    private readonly deps: RawDeps,
    private readonly pool: ReadPool,
    private readonly crc64Pairs: Crc64Pairs,
  ) {}

  get(ctx: RequestContext, cf: string, key: Uint8Array): ReadReply<Uint8Array | undefined> {
    const command = "raw_get";
    return this.point(command, ctx, cf, [key], (read) => {
      const stored = this.storedValues(read)[0];
      const now = nowSeconds(this.deps.clock);
      const value = stored === undefined ? undefined : this.deps.format.liveValue(stored, now);
      this.count(command, read.peer, 1, key.length + (value?.length ?? 0));
      return ok(value);
    });
  }

  batchGet(ctx: RequestContext, cf: string, keys: readonly Uint8Array[]): ReadReply<KvPair[]> {
    const command = "raw_batch_get";
    return this.point(command, ctx, cf, keys, (read) => {
      const now = nowSeconds(this.deps.clock);
      const pairs: KvPair[] = [];
      let bytes = 0;
      this.storedValues(read).forEach((stored, i) => {
        const value = stored === undefined ? undefined : this.deps.format.liveValue(stored, now);
        if (value === undefined) return;
        const key = keys[i] as Uint8Array;
        pairs.push({ key, value });
        bytes += key.length + value.length;
      });
      this.count(command, read.peer, keys.length, bytes);
      return ok(pairs);
    });
  }

  getKeyTtl(ctx: RequestContext, cf: string, key: Uint8Array): ReadReply<bigint | undefined> {
    const command = "raw_get_key_ttl";
    return this.point(command, ctx, cf, [key], (read) => {
      const { format, clock } = this.deps;
      if (!format.ttlEnabled) return keyFailure(GET_TTL_ON_NON_TTL_STORE);
      const stored = this.storedValues(read)[0];
      this.count(command, read.peer, 1, key.length);
      if (stored === undefined) return ok(undefined);
      return ok(format.remainingTtl(stored, nowSeconds(clock)));
    });
  }

  scan(ctx: RequestContext, cf: string, options: RawScanOptions): Promise<Reply<KvPair[]>> {
    const command = "raw_scan";
    this.deps.metrics.onCommand(command);
    const range = { startKey: options.startKey, endKey: options.endKey };
    const refused = rangeVersionFailure(this.deps, ctx, command, [range]);
    if (refused !== undefined) return Promise.resolve(refused);
    return this.scanRanges(command, ctx, cf, [range], options);
  }

  batchScan(
    ctx: RequestContext,
    cf: string,
    ranges: readonly UserRange[],
    eachLimit: number,
    options: { readonly keyOnly: boolean; readonly reverse: boolean },
  ): Promise<Reply<KvPair[]>> {
    const command = "raw_batch_scan";
    this.deps.metrics.onCommand(command);
    const refused = rangeVersionFailure(this.deps, ctx, command, ranges);
    if (refused !== undefined) return Promise.resolve(refused);
    return this.scanRanges(command, ctx, cf, ranges, { ...options, limit: eachLimit });
  }

  async checksum(
    ctx: RequestContext,
    ranges: readonly UserRange[],
  ): Promise<Reply<ChecksumResult>> {
    const command = "raw_checksum";
    const { deps } = this;
    deps.metrics.onCommand(command);
    const refused = rangeVersionFailure(deps, ctx, command, ranges);
    if (refused !== undefined) return refused;
    const started = deps.clock.monotonicMs();
    const reply = await this.pool.run<ChecksumResult>(() =>
      this.open(
        ctx,
        "",
        ranges.map((range) => this.forward(range)),
        (open) => ok(this.checksumRead(command, open)),
      ),
    );
    return this.timed(command, started, reply);
  }

  private checksumRead(command: RawCommand, open: OpenScan): SlicedRead<ChecksumResult> {
    const { format, clock } = this.deps;
    const { snapshot, cf, ranges } = open;
    const now = nowSeconds(clock);
    const sum = new RawChecksum(format, snapshot, cf, ranges, now, this.crc64Pairs);
    return {
      bytes: 0,
      step: (items: number, bytes: number) => sum.step(items, bytes),
      result: () => {
        this.count(command, snapshot.peer, sum.totalKvs, sum.totalBytes);
        const { checksum, totalKvs, totalBytes } = sum;
        return { checksum, totalKvs: BigInt(totalKvs), totalBytes: BigInt(totalBytes) };
      },
      close: () => {
        sum.close();
        snapshot.close();
      },
    };
  }

  /** Makes the checks of a point read and calls `use` when it may read. */
  private point<T>(
    command: RawCommand,
    ctx: RequestContext,
    cfText: string,
    userKeys: readonly Uint8Array[],
    use: (read: PointRead) => Reply<T>,
  ): ReadReply<T> {
    const { deps } = this;
    deps.metrics.onCommand(command);
    const refused = versionFailure(deps, ctx, command, userKeys);
    if (refused !== undefined) return refused;
    return deps.kv.read(ctx, (peer) => {
      const cf = rawCf(cfText, deps.options.apiVersion);
      if ("error" in cf) return keyFailure(cf.error);
      const keys = userKeys.map(deps.format.encodeKey);
      return keysFailure(keys, peer) ?? use({ peer, cf: cf.cf, keys });
    });
  }

  private storedValues({ peer, cf, keys }: PointRead): (Uint8Array | undefined)[] {
    const { format, kv } = this.deps;
    if (!format.versioned) {
      const [first] = keys;
      if (keys.length === 1 && first !== undefined) return [kv.latest().get(cf, first)];
      return kv.latest().multiGet(cf, keys);
    }
    const snapshot = kv.snapshot(peer);
    try {
      return keys.map((key) => getStored(format, snapshot, cf, key));
    } finally {
      snapshot.close();
    }
  }

  private async scanRanges(
    command: RawCommand,
    ctx: RequestContext,
    cf: string,
    ranges: readonly UserRange[],
    options: { readonly limit: number; readonly keyOnly: boolean; readonly reverse: boolean },
  ): Promise<Reply<KvPair[]>> {
    const started = this.deps.clock.monotonicMs();
    const reply = await this.pool.run<KvPair[]>(() => {
      const { reverse } = options;
      const bounds = ranges.map((range, i) => {
        const whole = { startKey: range.startKey, endKey: endOfRange(ranges, i) };
        return reverse ? this.backward(whole) : this.forward(whole);
      });
      return this.open<KvPair[]>(ctx, cf, bounds, (open) => {
        if (command !== "raw_batch_scan" || checkKeyRanges(ranges, reverse)) {
          return ok(new ScanRead(this, command, open, options));
        }
        open.snapshot.close();
        return keyFailure(INVALID_KEY_RANGES);
      });
    });
    return this.timed(command, started, reply);
  }

  private forward({ startKey, endKey }: UserRange): ScanRange {
    const { format } = this.deps;
    const lower = format.encodeKey(startKey);
    const upper = endKey.length === 0 ? endKey : format.encodeKey(endKey);
    return { lower, upper, seek: lower };
  }

  /** startKey is the exclusive upper bound; an empty one is below all keys, as in TiKV. */
  private backward({ startKey, endKey }: UserRange): ScanRange {
    const { format } = this.deps;
    const seek = format.encodeKey(startKey);
    const lower = endKey.length === 0 ? endKey : format.encodeKey(endKey);
    // An empty upper bound would mean +inf to the cursor.
    return startKey.length === 0
      ? { lower: EMPTY_RANGE, upper: EMPTY_RANGE, seek }
      : { lower, upper: seek, seek };
  }

  /** Makes the checks of a sliced read and opens it on a snapshot of the moment it may read. */
  private open<T>(
    ctx: RequestContext,
    cfText: string,
    ranges: readonly ScanRange[],
    start: (open: OpenScan) => Reply<SlicedRead<T>>,
  ): ReadReply<SlicedRead<T>> {
    const { kv, options } = this.deps;
    return kv.read(ctx, (peer) => {
      const cf = rawCf(cfText, options.apiVersion);
      if ("error" in cf) return keyFailure(cf.error);
      const { region } = peer;
      for (const { seek } of ranges) {
        const inside =
          compareBytes(seek, region.startKey) >= 0 &&
          (region.endKey.length === 0 || compareBytes(seek, region.endKey) <= 0);
        if (!inside) return regionFailure(keyNotInRegion(seek, region));
      }
      return start({ snapshot: kv.snapshot(peer), cf: cf.cf, ranges });
    });
  }

  /** @internal Opens the scan of one range; used by ScanRead. */
  scanOf(
    open: OpenScan,
    range: ScanRange,
    options: { readonly limit: number; readonly keyOnly: boolean; readonly reverse: boolean },
  ): { readonly scan: RawScan; readonly cursor: RawCursor } {
    const { format, clock, options: storage } = this.deps;
    // Only V1 can tell that an entry is alive without its value.
    const keysOnly = options.keyOnly && storage.apiVersion === API_VERSION.V1;
    const cursor = open.snapshot.cursor(open.cf, range.lower, range.upper, keysOnly);
    const scan = new RawScan(format, cursor, { ...options, nowSeconds: nowSeconds(clock) });
    return { scan, cursor };
  }

  /** @internal Counts keys and bytes read; used by ScanRead. */
  count(command: RawCommand, peer: ReadDelegate, keys: number, bytes: number): void {
    peer.onRead(keys, bytes);
    this.deps.metrics.onKeysRead(command, keys);
  }

  private timed<T>(command: RawCommand, started: number, reply: Reply<T>): Reply<T> {
    const { metrics, clock } = this.deps;
    metrics.observeDuration(command, clock.monotonicMs() - started);
    if (!reply.ok && reply.error.type === "region" && reply.error.error.kind === "serverIsBusy") {
      metrics.onTooBusy(command);
    }
    return reply;
  }
}

/** A bound that no key is below: with itself it makes an empty range. */
const EMPTY_RANGE = Uint8Array.of(0);

interface OpenScan {
  readonly snapshot: RegionSnapshot;
  readonly cf: CfName;
  readonly ranges: readonly ScanRange[];
}

/** The ranges of a scan, one after the other on one snapshot, each up to the limit. */
class ScanRead implements SlicedRead<KvPair[]> {
  bytes = 0;
  private readonly pairs: KvPair[] = [];
  private nextRange = 0;
  private current: { readonly scan: RawScan; readonly cursor: RawCursor } | undefined;

  constructor(
    private readonly reads: RawReads,
    private readonly command: RawCommand,
    private readonly open: OpenScan,
    private readonly options: {
      readonly limit: number;
      readonly keyOnly: boolean;
      readonly reverse: boolean;
    },
  ) {}

  step(maxItems: number, maxBytes: number): boolean {
    const range = this.open.ranges[this.nextRange];
    if (range === undefined) return true;
    this.current ??= this.reads.scanOf(this.open, range, this.options);
    const { scan } = this.current;
    const before = scan.bytes;
    const finished = scan.step(maxItems, maxBytes);
    this.bytes += scan.bytes - before;
    if (!finished) return false;
    for (const pair of scan.pairs) this.pairs.push(pair);
    this.closeCursor();
    this.nextRange++;
    return this.nextRange >= this.open.ranges.length;
  }

  result(): KvPair[] {
    this.reads.count(this.command, this.open.snapshot.peer, this.pairs.length, this.bytes);
    return this.pairs;
  }

  close(): void {
    this.closeCursor();
    this.open.snapshot.close();
  }

  private closeCursor(): void {
    this.current?.cursor.close();
    this.current = undefined;
  }
}
