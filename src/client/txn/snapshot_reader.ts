/**
 * Reads at one timestamp, over any number of regions, past the locks of others. Keys are those of
 * requests; values are copies. What public reads (snapshot.ts, transaction.ts) are made of.
 */
import { EMPTY_BYTES } from "../../base/index.js";
import { fromBigInt, type kvrpcpb } from "../../pb/index.js";
import { mapKey } from "../arguments.js";
import type { Backoffer } from "../backoff.js";
import type { WireRange } from "../key_mode.js";
import type { CachedRegion } from "../region_cache.js";
import { type ChunkLimit, type Keyed, sendChunks } from "../region_chunks.js";
import { type Attempts, RELOAD } from "../region_request.js";
import { lastOfFull, type Page, type PagePair, type ScanDeps, scanBounds } from "../region_scan.js";
import { freshAttempts, type TxnContext } from "./context.js";
import { locksOf } from "./key_error.js";
import type { LockResolver } from "./lock_resolver.js";
import { TXN_BATCH_GET_KEYS_MAX } from "./options.js";

/** Transactions that a reader remembers; beyond, the oldest are judged anew when they are met. */
const JUDGED_MAX = 256;

const GET_LIMIT: ChunkLimit<Keyed> = {
  itemsMax: TXN_BATCH_GET_KEYS_MAX,
  bytesMax: Number.POSITIVE_INFINITY,
  sizeOf: () => 0,
};

export class SnapshotReader {
  readonly ts: bigint;
  readonly #context: TxnContext;
  readonly #resolver: LockResolver;
  readonly #ignored = new Set<bigint>();
  readonly #committed = new Set<bigint>();

  constructor(ts: bigint, context: TxnContext, resolver: LockResolver) {
    this.ts = ts;
    this.#context = context;
    this.#resolver = resolver;
  }

  /** Returns the value of a key; undefined if there is none. */
  async get(key: Uint8Array, op: Backoffer): Promise<Uint8Array | undefined> {
    const { sender } = this.#context.parts;
    const body = { key, version: fromBigInt(this.ts) };
    for (;;) {
      const response = await sender.sendTo(key, "Get", body, op, this.#attempts());
      if (response.error !== null) await this.#pass([response.error], op);
      else return response.notFound ? undefined : new Uint8Array(response.value);
    }
  }

  /** Returns the values of keys by map key; missing keys are left out. */
  async batchGet(keys: readonly Uint8Array[], op: Backoffer): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    const { locator } = this.#context.parts;
    const { concurrencyMax } = this.#context.options;
    const items = keys.map((key) => ({ key }));
    await sendChunks(items, GET_LIMIT, { locator, op, concurrencyMax }, (region, part) =>
      this.#batchGet(
        region,
        part.map(({ key }) => key),
        found,
        op,
      ),
    );
    return found;
  }

  /** Returns what a scan needs; each page has its own retries. */
  scanDeps(keyOnly: boolean, reverse: boolean, newOp: () => Backoffer): ScanDeps {
    return {
      locator: this.#context.parts.locator,
      newOp,
      readPage: (region, range, limit, op) =>
        this.#readPage(region, range, { limit, keyOnly, reverse }, op),
    };
  }

  async #batchGet(
    region: CachedRegion,
    keys: readonly Uint8Array[],
    found: Map<string, Uint8Array>,
    op: Backoffer,
  ): Promise<object | typeof RELOAD> {
    const { sender } = this.#context.parts;
    let left = [...keys];
    for (;;) {
      const body = { keys: left, version: fromBigInt(this.ts) };
      const response = await sender.send(region, "BatchGet", body, op, this.#attempts());
      if (response === RELOAD) return RELOAD;
      const errors: kvrpcpb.KeyError[] = response.error === null ? [] : [response.error];
      const locked: Uint8Array[] = [];
      for (const { error, key, value } of response.pairs) {
        if (error === null) {
          found.set(mapKey(key), new Uint8Array(value));
          continue;
        }
        errors.push(error);
        locked.push(new Uint8Array(error.locked?.key ?? key));
      }
      if (errors.length === 0) return response;
      await this.#pass(errors, op);
      if (response.error === null) left = locked;
    }
  }

  async #readPage(
    region: CachedRegion,
    range: WireRange,
    how: { readonly limit: number; readonly keyOnly: boolean; readonly reverse: boolean },
    op: Backoffer,
  ): Promise<Page | typeof RELOAD> {
    const { sender } = this.#context.parts;
    for (;;) {
      const body = { ...scanBounds(range, how.reverse), ...how, version: fromBigInt(this.ts) };
      const response = await sender.send(region, "Scan", body, op, this.#attempts());
      if (response === RELOAD) return RELOAD;
      if (response.error !== null) {
        await this.#pass([response.error], op);
        continue;
      }
      const keys = response.pairs.map(({ error, key }) => error?.locked?.key ?? key);
      const pairs = await this.#unlockedPairs(response.pairs, how.keyOnly, op);
      return { pairs, lastKey: lastOfFull(keys, how.limit) };
    }
  }

  /** Returns the pairs of a page; those that carry locks are read one by one once they are free. */
  async #unlockedPairs(
    pairs: readonly kvrpcpb.KvPair[],
    keyOnly: boolean,
    op: Backoffer,
  ): Promise<PagePair[]> {
    const errors = pairs.map(({ error }) => error).filter((error) => error !== null);
    if (errors.length === 0) return pairs as kvrpcpb.KvPair[];
    await this.#pass(errors, op);
    const found: PagePair[] = [];
    for (const { error, key, value } of pairs) {
      if (error === null) {
        found.push({ key, value });
        continue;
      }
      const lockedKey = new Uint8Array(error.locked?.key ?? key);
      const read = await this.get(lockedKey, op);
      if (read !== undefined) found.push({ key: lockedKey, value: keyOnly ? EMPTY_BYTES : read });
    }
    return found;
  }

  /** Waits until locks do not matter any more; throws what is no lock. */
  async #pass(errors: readonly kvrpcpb.KeyError[], op: Backoffer): Promise<void> {
    const locks = locksOf(errors, this.ts, this.#context.parts.mode);
    const verdict = await this.#resolver.forRead(locks, this.ts, op);
    for (const ts of verdict.ignored) remember(this.#ignored, ts);
    for (const ts of verdict.committed) remember(this.#committed, ts);
    if (verdict.waitMs > 0) {
      const holders = [...new Set(locks.map(({ startTs }) => startTs))].join(", ");
      await op.wait("txnLockFast", `locked by transaction ${holders}`, 0, verdict.waitMs);
    }
  }

  #attempts(): Attempts | undefined {
    if (this.#ignored.size === 0 && this.#committed.size === 0) return undefined;
    const context = {
      resolvedLocks: [...this.#ignored].map(fromBigInt),
      committedLocks: [...this.#committed].map(fromBigInt),
    };
    return { ...freshAttempts(), context };
  }
}

function remember(set: Set<bigint>, ts: bigint): void {
  set.add(ts);
  if (set.size <= JUDGED_MAX) return;
  for (const oldest of set) {
    set.delete(oldest);
    return;
  }
}
