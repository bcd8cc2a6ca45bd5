/**
 * RawClient: raw keys and values over any number of regions, against any server that speaks TiKV's
 * protocol. Not here: transactions.
 *
 * Every operation retries what can be retried (see backoff.ts) and then throws a ClientError. A put
 * or delete that is retried after a broken connection may be executed twice; a compare-and-swap is
 * not repeated then and throws Undetermined. Results are copies: yours to keep and to change.
 */
import { setMaxListeners } from "node:events";
import { compareBytes, EMPTY_BYTES } from "../base/index.js";
import { kvrpcpb, toBigInt, toNumberSaturating } from "../pb/index.js";
import type { PdClient } from "../pd_client/index.js";
import { mapKey, toBytes, toScanPlan, toWireKey, toWireRange } from "./arguments.js";
import type { Backoffer } from "./backoff.js";
import type { CommandName, RequestOf, ResponseOf } from "./commands.js";
import { type ClientParts, connectParts, newBackoffer } from "./connect.js";
import { invalidArgument, refusal } from "./errors.js";
import type { WireRange } from "./key_mode.js";
import {
  BATCH_KEYS_MAX,
  BATCH_PUT_BYTES_MAX,
  RAW_CLIENT_DEFAULTS,
  type RawClientOptions,
} from "./options.js";
import type { CasResult, PutOptions, RawChecksum, RawPair } from "./rawkv_types.js";
import type { CachedRegion } from "./region_cache.js";
import { type ChunkLimit, type Keyed, sendChunks } from "./region_chunks.js";
import { earlierEnd } from "./region_locator.js";
import { RELOAD } from "./region_request.js";
import { lastOfFull, type ScanDeps, scanBackward, scanBounds, scanForward } from "./region_scan.js";
import type { Bytes, KvPair, OperationOptions, ScanOptions } from "./types.js";

/** The options that a RawClient needs and those that it may be given. */
export type RawClientConfig = Pick<RawClientOptions, "pdEndpoints"> & Partial<RawClientOptions>;

type RawParts = ClientParts & { readonly pd: PdClient };

interface WirePair extends Keyed {
  readonly value: Uint8Array;
  readonly ttl: number;
}

interface WireKey extends Keyed {
  readonly index: number;
}

const KEY_LIMIT: ChunkLimit<Keyed> = {
  itemsMax: BATCH_KEYS_MAX,
  bytesMax: Number.POSITIVE_INFINITY,
  sizeOf: () => 0,
};
const PAIR_LIMIT: ChunkLimit<WirePair> = {
  itemsMax: Number.POSITIVE_INFINITY,
  bytesMax: BATCH_PUT_BYTES_MAX,
  sizeOf: ({ key, value }) => key.length + value.length,
};

function checkTtl(ttlSeconds: number | undefined): number {
  const ttl = ttlSeconds ?? 0;
  if (Number.isSafeInteger(ttl) && ttl >= 0) return ttl;
  throw invalidArgument(`ttlSeconds must be a whole number from 0 on, not ${ttl}`);
}

export class RawClient {
  readonly #options: RawClientOptions;
  readonly #parts: RawParts;
  readonly #closing = new AbortController();

  private constructor(options: RawClientOptions, parts: RawParts) {
    this.#options = options;
    this.#parts = parts;
    setMaxListeners(0, this.#closing.signal);
  }

  /**
   * Connects to PD and returns a client; the process lives until close(). Throws PdUnavailable when no
   * PD answers within timeoutMs and the retry budget.
   */
  static async connect(config: RawClientConfig): Promise<RawClient> {
    const options: RawClientOptions = { ...RAW_CLIENT_DEFAULTS, ...config };
    return new RawClient(options, await connectParts(options, "raw"));
  }

  /** The client of PD that this client uses; closed together with it. */
  get pd(): PdClient {
    return this.#parts.pd;
  }

  /** Returns the value of a key; undefined if there is none. */
  async get(key: Bytes, options: OperationOptions = {}): Promise<Uint8Array | undefined> {
    const wire = this.#key(key);
    const { cf } = this.#options;
    const response = await this.#point("RawGet", wire, { key: wire, cf }, options);
    return response.notFound ? undefined : new Uint8Array(response.value);
  }

  /** Writes a pair. */
  async put(key: Bytes, value: Bytes, options: PutOptions = {}): Promise<void> {
    const wire = this.#key(key);
    const ttl = checkTtl(options.ttlSeconds);
    const { atomic: forCas, cf } = this.#options;
    const body = { key: wire, value: toBytes(value), cf, ttl, forCas };
    await this.#point("RawPut", wire, body, options);
  }

  /** Deletes a key; a missing one is no error. */
  async delete(key: Bytes, options: OperationOptions = {}): Promise<void> {
    const wire = this.#key(key);
    const { atomic: forCas, cf } = this.#options;
    await this.#point("RawDelete", wire, { key: wire, cf, forCas }, options);
  }

  /** Returns one value for each key, in the same order; undefined where there is none. */
  async batchGet(
    keys: readonly Bytes[],
    options: OperationOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    const wires: WireKey[] = keys.map((key, index) => ({ key: this.#key(key), index }));
    const found = new Map<string, Uint8Array>();
    const { cf } = this.#options;
    await this.#chunks(wires, KEY_LIMIT, options, async (region, items, op) => {
      const body = { keys: items.map((item) => item.key), cf };
      const response = await this.#parts.sender.send(region, "RawBatchGet", body, op);
      if (response === RELOAD) return RELOAD;
      for (const { error, key, value } of response.pairs) {
        if (error !== null) throw refusal("RawBatchGet", error.abort || error.retryable);
        found.set(mapKey(key), value);
      }
      return response;
    });
    return wires.map(({ key }) => {
      const value = found.get(mapKey(key));
      return value === undefined ? undefined : new Uint8Array(value);
    });
  }

  /**
   * Writes pairs, each region's as few batches of 16 KiB. Not atomic as a whole: on an error some may
   * be written. Of two pairs with one key the later wins.
   */
  async batchPut(pairs: readonly RawPair[], options: OperationOptions = {}): Promise<void> {
    const wires = new Map<string, WirePair>();
    for (const { key, ttlSeconds, value } of pairs) {
      const wire = this.#key(key);
      wires.set(mapKey(wire), { key: wire, value: toBytes(value), ttl: checkTtl(ttlSeconds) });
    }
    const { atomic: forCas, cf } = this.#options;
    await this.#chunks([...wires.values()], PAIR_LIMIT, options, async (region, items, op) => {
      const ttls = items.some(({ ttl }) => ttl > 0) ? items.map(({ ttl }) => ttl) : [];
      const body = { pairs: items.map(({ key, value }) => ({ key, value })), cf, forCas, ttls };
      return this.#parts.sender.send(region, "RawBatchPut", body, op);
    });
  }

  /** Deletes keys. Not atomic as a whole. */
  async batchDelete(keys: readonly Bytes[], options: OperationOptions = {}): Promise<void> {
    const wires: WireKey[] = keys.map((key, index) => ({ key: this.#key(key), index }));
    const { atomic: forCas, cf } = this.#options;
    await this.#chunks(wires, KEY_LIMIT, options, async (region, items, op) => {
      const body = { keys: items.map((item) => item.key), cf, forCas };
      return this.#parts.sender.send(region, "RawBatchDelete", body, op);
    });
  }

  /** Deletes `[start, end)`, region by region; an empty end is +inf. Not atomic as a whole. */
  async deleteRange(start: Bytes, end: Bytes, options: OperationOptions = {}): Promise<void> {
    const { cf } = this.#options;
    await this.#ranges(
      start,
      end,
      options,
      async (region, { end: endKey, start: startKey }, op) => {
        const body = { startKey, endKey, cf };
        return this.#parts.sender.send(region, "RawDeleteRange", body, op);
      },
    );
  }

  /** Yields the pairs of `[start, end)` in key order. Pages are read as they are needed. */
  scan(options: ScanOptions = {}): AsyncGenerator<KvPair, void> {
    return this.#scan(options, false);
  }

  /** Yields the pairs of `[start, end)` from the last to the first. */
  reverseScan(options: ScanOptions = {}): AsyncGenerator<KvPair, void> {
    return this.#scan(options, true);
  }

  /**
   * Writes `value` if the key's present value is `expected` (undefined: if there is none). Atomic with
   * other swaps, and with puts and deletes of clients that set `atomic`.
   */
  async compareAndSwap(
    key: Bytes,
    expected: Bytes | undefined,
    value: Bytes,
    options: PutOptions = {},
  ): Promise<CasResult> {
    const wire = this.#key(key);
    const body = {
      key: wire,
      value: toBytes(value),
      previousNotExist: expected === undefined,
      previousValue: expected === undefined ? EMPTY_BYTES : toBytes(expected),
      cf: this.#options.cf,
      ttl: checkTtl(options.ttlSeconds),
    };
    const response = await this.#point("RawCompareAndSwap", wire, body, options);
    const previous = response.previousNotExist ? undefined : new Uint8Array(response.previousValue);
    return { swapped: response.succeed, previous };
  }

  /** Returns the seconds that a key has left, 0 if it lives for ever, undefined if there is none. */
  async getKeyTtl(key: Bytes, options: OperationOptions = {}): Promise<number | undefined> {
    const wire = this.#key(key);
    const body = { key: wire, cf: this.#options.cf };
    const response = await this.#point("RawGetKeyTTL", wire, body, options);
    return response.notFound ? undefined : toNumberSaturating(response.ttl);
  }

  /** Returns the XOR of the CRC-64 of all pairs in `[start, end)`, with their number and bytes. */
  async checksum(start: Bytes, end: Bytes, options: OperationOptions = {}): Promise<RawChecksum> {
    const sum = { checksum: 0n, totalKvs: 0n, totalBytes: 0n };
    await this.#ranges(
      start,
      end,
      options,
      async (region, { end: endKey, start: startKey }, op) => {
        const algorithm = kvrpcpb.ChecksumAlgorithm.Crc64_Xor;
        const body = { algorithm, ranges: [{ startKey, endKey }] };
        const response = await this.#parts.sender.send(region, "RawChecksum", body, op);
        if (response === RELOAD) return RELOAD;
        sum.checksum ^= toBigInt(response.checksum);
        sum.totalKvs += toBigInt(response.totalKvs);
        sum.totalBytes += toBigInt(response.totalBytes);
        return response;
      },
    );
    return sum;
  }

  /** Ends all connections; operations under way throw. */
  close(): void {
    this.#closing.abort();
    this.#parts.rpc.close();
    this.#parts.pd.close();
  }

  #key(key: Bytes): Uint8Array {
    return toWireKey(this.#parts.mode, key);
  }

  #range(start: Bytes, end: Bytes): WireRange {
    return toWireRange(this.#parts.mode, start, end);
  }

  #op(options: OperationOptions): Backoffer {
    const op = newBackoffer(this.#options, this.#parts.time, options, this.#closing.signal);
    op.check();
    return op;
  }

  async #point<C extends CommandName>(
    command: C,
    key: Uint8Array,
    body: RequestOf<C>,
    options: OperationOptions,
  ): Promise<ResponseOf<C>> {
    return this.#parts.sender.sendTo(key, command, body, this.#op(options));
  }

  #chunks<T extends Keyed>(
    items: readonly T[],
    limit: ChunkLimit<T>,
    options: OperationOptions,
    send: (
      region: CachedRegion,
      items: readonly T[],
      op: Backoffer,
    ) => Promise<object | typeof RELOAD>,
  ): Promise<void> {
    const op = this.#op(options);
    const { concurrencyMax } = this.#options;
    const deps = { locator: this.#parts.locator, op, concurrencyMax };
    return sendChunks(items, limit, deps, (region, part) => send(region, part, op));
  }

  async #ranges(
    start: Bytes,
    end: Bytes,
    options: OperationOptions,
    send: (
      region: CachedRegion,
      range: WireRange,
      op: Backoffer,
    ) => Promise<object | typeof RELOAD>,
  ): Promise<void> {
    const op = this.#op(options);
    const whole = this.#range(start, end);
    let from = whole.start;
    while (whole.end.length === 0 || compareBytes(from, whole.end) < 0) {
      const start = from;
      const region = await this.#parts.locator.locate(start, op);
      const part = { start, end: earlierEnd(region.endKey, whole.end) };
      const step = await send(region, part, op);
      if (step === RELOAD) continue;
      if (part.end.length === 0) return;
      from = part.end;
    }
  }

  async *#scan(options: ScanOptions, reverse: boolean): AsyncGenerator<KvPair, void> {
    const plan = toScanPlan(this.#parts.mode, options);
    const deps = this.#scanDeps(options, reverse, options.keyOnly ?? false);
    const pairs = reverse ? scanBackward(plan, deps) : scanForward(plan, deps);
    for (;;) {
      const next = await pairs.next();
      if (next.done === true) return;
      const { key, value } = next.value;
      yield { key: this.#parts.mode.fromWire(key), value: new Uint8Array(value) };
    }
  }

  #scanDeps(options: OperationOptions, reverse: boolean, keyOnly: boolean): ScanDeps {
    const { locator, sender } = this.#parts;
    const { cf } = this.#options;
    return {
      locator,
      newOp: () => this.#op(options),
      readPage: async (region, range, limit, op) => {
        const body = { ...scanBounds(range, reverse), limit, keyOnly, reverse, cf };
        const response = await sender.send(region, "RawScan", body, op);
        if (response === RELOAD) return RELOAD;
        const failed = response.kvs.find(({ error }) => error !== null);
        if (failed?.error) throw refusal("RawScan", failed.error.abort || failed.error.retryable);
        const keys = response.kvs.map(({ key }) => key);
        return { pairs: response.kvs, lastKey: lastOfFull(keys, limit) };
      },
    };
  }
}
