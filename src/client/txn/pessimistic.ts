/**
 * Locks of a pessimistic transaction: taken at the newest state, waited for at the store, given back
 * when the call fails. Source: client-go txnkv/transaction/pessimistic.go.
 */
import { TS_MAX } from "../../codec/index.js";
import { fromBigInt, kvrpcpb } from "../../pb/index.js";
import { mapKey } from "../arguments.js";
import type { Backoffer } from "../backoff.js";
import type { CachedRegion } from "../region_cache.js";
import { type ChunkLimit, type Keyed, sendChunks } from "../region_chunks.js";
import { RELOAD } from "../region_request.js";
import { freshAttempts, type TxnContext } from "./context.js";
import { LockTimeoutError, WriteConflictError } from "./errors.js";
import { errorOf, locksOf } from "./key_error.js";
import type { LockResolver } from "./lock_resolver.js";
import type { LockView } from "./lock_view.js";
import { TXN_BATCH_BYTES_MAX } from "./options.js";

/** What is to be locked, and how. */
export interface LockRequest {
  /** Different keys, none of them locked; the first is the primary if there is none yet. */
  readonly keys: readonly Uint8Array[];
  readonly waitMs: number;
  readonly returnValues: boolean;
  readonly mustBeAbsent: boolean;
}

/** Newest values by map key, undefined for keys without; empty unless they were asked for. */
export type LockedValues = Map<string, Uint8Array | undefined>;

const KEYS_LIMIT: ChunkLimit<Keyed> = {
  itemsMax: Number.POSITIVE_INFINITY,
  bytesMax: TXN_BATCH_BYTES_MAX,
  sizeOf: ({ key }) => key.length,
};

/** An answer after so long comes from the store's queue of waiters, ms. */
const SERVER_WAITED_MS = 100;
/** wait_timeout of a request that does not wait. */
const NO_WAIT = -1;

export class PessimisticLocks {
  readonly startTs: bigint;
  readonly #context: TxnContext;
  readonly #resolver: LockResolver;
  readonly #elapsedMs: () => number;
  readonly #locked = new Map<string, Uint8Array>();
  #primary: Uint8Array | undefined;
  /** At least that of every lock: what was committed up to then has been seen. */
  #forUpdateTs: bigint;
  /** Whether locks up to for_update_ts are being given back: new ones need a newer one. */
  #isGivingBack = false;

  constructor(
    startTs: bigint,
    context: TxnContext,
    resolver: LockResolver,
    elapsedMs: () => number,
  ) {
    this.startTs = startTs;
    this.#context = context;
    this.#resolver = resolver;
    this.#elapsedMs = elapsedMs;
    this.#forUpdateTs = startTs;
  }

  /** The key whose lock says whether the transaction lives. */
  get primary(): Uint8Array | undefined {
    return this.#primary;
  }

  get forUpdateTs(): bigint {
    return this.#forUpdateTs;
  }

  /** Map keys of what is locked. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#locked.keys());
  }

  has(key: Uint8Array): boolean {
    return this.#locked.has(mapKey(key));
  }

  /**
   * Takes the locks. Throws LockTimeout, Deadlock, KeyExists, TxnAborted; then none of `keys` stays
   * locked. One call at a time.
   */
  async lock(request: LockRequest, op: Backoffer): Promise<LockedValues> {
    const isFirst = this.#primary === undefined;
    const primary = this.#primary ?? (request.keys[0] as Uint8Array);
    const values: LockedValues = new Map();
    const beganMs = this.#elapsedMs();
    if (this.#isGivingBack) await this.#renew(op);
    try {
      const [first, ...others] = request.keys as [Uint8Array, ...Uint8Array[]];
      // Others find out at the primary whether a lock counts, so that one comes first.
      if (isFirst) await this.#lockAll([first], primary, request, values, beganMs, op);
      const left = isFirst ? others : request.keys;
      await this.#lockAll(left, primary, request, values, beganMs, op);
    } catch (error) {
      this.#isGivingBack = true;
      await this.#giveBack(request.keys, this.#forUpdateTs);
      throw error;
    }
    for (const key of request.keys) this.#locked.set(mapKey(key), key);
    this.#primary = primary;
    return values;
  }

  /** Removes all locks, in the background. */
  async release(): Promise<void> {
    const keys = [...this.#locked.values()];
    this.#locked.clear();
    await this.#giveBack(keys, TS_MAX);
  }

  async #lockAll(
    keys: readonly Uint8Array[],
    primary: Uint8Array,
    request: LockRequest,
    values: LockedValues,
    beganMs: number,
    op: Backoffer,
  ): Promise<void> {
    const items = keys.map((key) => ({ key }));
    const { locator } = this.#context.parts;
    const { concurrencyMax } = this.#context.options;
    const deps = { locator, op, concurrencyMax, settle: true };
    await sendChunks(items, KEYS_LIMIT, deps, async (region, part) => {
      const chunk = { keys: part.map(({ key }) => key), primary, request, beganMs };
      return this.#lockChunk(region, chunk, values, op);
    });
  }

  async #lockChunk(
    region: CachedRegion,
    chunk: Chunk,
    values: LockedValues,
    op: Backoffer,
  ): Promise<object | typeof RELOAD> {
    const attempts = freshAttempts();
    for (;;) {
      const leftMs = this.#leftMs(chunk);
      const body = this.#body(chunk, leftMs);
      const sentMs = this.#elapsedMs();
      const { sender } = this.#context.parts;
      const response = await sender.send(region, "PessimisticLock", body, op, attempts);
      if (response === RELOAD) return RELOAD;
      if (response.errors.length === 0) {
        if (chunk.request.returnValues) takeValues(chunk.keys, response, values);
        return response;
      }
      const hasWaited = this.#elapsedMs() - sentMs >= SERVER_WAITED_MS;
      await this.#onErrors(response.errors, chunk, hasWaited, op);
    }
  }

  #leftMs({ beganMs, request }: Chunk): number {
    return Math.max(0, request.waitMs - (this.#elapsedMs() - beganMs));
  }

  #body({ keys, primary, request }: Chunk, leftMs: number): kvrpcpb.IPessimisticLockRequest {
    const { NotExist, None } = kvrpcpb.Assertion;
    const assertion = request.mustBeAbsent ? NotExist : None;
    return {
      mutations: keys.map((key) => ({ op: kvrpcpb.Op.PessimisticLock, key, assertion })),
      primaryLock: primary,
      startVersion: fromBigInt(this.startTs),
      lockTtl: Math.ceil(this.#elapsedMs() + this.#context.options.managedTtlMs),
      forUpdateTs: fromBigInt(this.#forUpdateTs),
      isFirstLock: this.#locked.size === 0 && request.keys.length === 1,
      waitTimeout: leftMs === 0 ? NO_WAIT : Math.ceil(leftMs),
      returnValues: request.returnValues,
      minCommitTs: fromBigInt(this.#forUpdateTs + 1n),
    };
  }

  /** Goes on after a conflict or a lock of others; throws everything else. */
  async #onErrors(
    errors: readonly kvrpcpb.KeyError[],
    chunk: Chunk,
    hasWaited: boolean,
    op: Backoffer,
  ): Promise<void> {
    const { mode } = this.#context.parts;
    const conflict = errors.find((error) => error.conflict !== null);
    if (conflict !== undefined) {
      const error = errorOf(conflict, this.startTs, mode);
      if (!(error instanceof WriteConflictError)) throw error;
      await this.#onConflict(error, op);
      return;
    }
    const locks = locksOf(errors, this.startTs, mode);
    const waitMs = await this.#resolver.forWrite(locks, op);
    if (waitMs === 0) return;
    const [first] = locks as [LockView];
    if (this.#leftMs(chunk) <= 0) {
      const waitedMs = this.#elapsedMs() - chunk.beganMs;
      throw new LockTimeoutError(mode.fromWire(first.key), first.startTs, waitedMs);
    }
    const reason = `locked by transaction ${first.startTs}`;
    const mostMs = Math.min(waitMs, this.#leftMs(chunk));
    // Who has waited at the store goes back into its queue at once: there it is woken.
    if (hasWaited) op.note(reason);
    else await op.wait("txnLockFast", reason, 0, mostMs);
  }

  /** The key was written after for_update_ts: locks are taken at a newer one. */
  async #onConflict(error: WriteConflictError, op: Backoffer): Promise<void> {
    op.note(error.message);
    await this.#renew(op);
  }

  async #renew(op: Backoffer): Promise<void> {
    const nowTs = await this.#context.timestamp(op);
    if (nowTs > this.#forUpdateTs) this.#forUpdateTs = nowTs;
    this.#isGivingBack = false;
  }

  /** Removes locks that were taken at `newest` or before, in the background. */
  #giveBack(keys: readonly Uint8Array[], newest: bigint): Promise<void> {
    if (keys.length === 0) return Promise.resolve();
    const items = keys.map((key) => ({ key }));
    const forUpdateTs = fromBigInt(newest);
    return this.#context.background.run("give locks back", async () => {
      const { locator, mode, sender } = this.#context.parts;
      const op = this.#context.backgroundOp();
      const deps = { locator, op, concurrencyMax: this.#context.options.concurrencyMax };
      await sendChunks(items, KEYS_LIMIT, deps, async (region, part) => {
        const body = {
          startVersion: fromBigInt(this.startTs),
          forUpdateTs,
          keys: part.map(({ key }) => key),
        };
        const response = await sender.send(region, "PessimisticRollback", body, op);
        if (response === RELOAD) return RELOAD;
        const [error] = response.errors;
        if (error !== undefined) throw errorOf(error, this.startTs, mode);
        return response;
      });
    });
  }
}

interface Chunk {
  readonly keys: readonly Uint8Array[];
  readonly primary: Uint8Array;
  readonly request: LockRequest;
  /** When the call began, in the transaction's time. */
  readonly beganMs: number;
}

function takeValues(
  keys: readonly Uint8Array[],
  { notFounds, values }: kvrpcpb.PessimisticLockResponse,
  found: LockedValues,
): void {
  for (const [i, key] of keys.entries()) {
    const isMissing = notFounds[i] === true || values[i] === undefined;
    found.set(mapKey(key), isMissing ? undefined : new Uint8Array(values[i] as Uint8Array));
  }
}
