/**
 * max_ts of this store: raised by reads, refreshed from PD for each region that a peer here begins
 * to lead, and bounded by PD's clock. A new leader has not seen its predecessors' reads; a timestamp
 * that PD gives after the election is above all of them.
 * Source: tikv components/concurrency_manager, raftstore/store/worker/pd.rs update_max_timestamp.
 */
import { type Clock, idToNumber, type Logger, type Timers } from "../base/index.js";
import { composeTs, TS_MAX, tsPhysical } from "../codec/index.js";
import type { PdPort, ReadDelegate } from "../raftstore/index.js";
import type { ConcurrencyManager } from "../txn/index.js";
import { type Failure, regionFailure } from "./errors.js";
import { invalidMaxTsFailure, type TxnFailure } from "./txn_errors.js";
import type { TxnOptions } from "./txn_options.js";

export interface MaxTsDeps {
  readonly concurrencyManager: ConcurrencyManager;
  readonly pd: Pick<PdPort, "getTimestamps">;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
}

/** A leadership; max_ts covers what was read before it once `synced`. */
interface Leadership {
  readonly term: bigint;
  readonly version: bigint;
  synced: boolean;
  asked: boolean;
}

/** Leaderships that are remembered; above, all are asked for again. */
const LEADERSHIPS_MAX = 65_536;

export class MaxTs {
  private readonly regions = new Map<number, Leadership>();
  /** Those that the next timestamp is for. */
  private waiting: Leadership[] = [];
  private isAsking = false;
  /** PD's clock, ms, and when it was read by the monotonic clock. */
  private pdClock: { readonly physicalMs: bigint; readonly atMs: number } | undefined;
  private cancel: (() => void) | undefined;
  private stopped = false;

  constructor(
    private readonly options: TxnOptions,
    private readonly deps: MaxTsDeps,
  ) {}

  /** Starts to read PD's clock, now and in intervals. */
  start(): void {
    void this.readClock();
  }

  stop(): void {
    this.stopped = true;
    this.cancel?.();
  }

  /**
   * Raises max_ts to the timestamp of a read. One that is further ahead of PD's clock than any
   * client's clock may be is refused, after PD was asked once more: max_ts never falls, and 1PC
   * would commit in the future for ever. A promise only for such a one.
   */
  raise(ts: bigint): undefined | Promise<TxnFailure | undefined> {
    return this.tryRaise(ts) ? undefined : this.raiseBeyond(ts);
  }

  /** As `raise`; returns false, and raises nothing, where PD would have to be asked. */
  tryRaise(ts: bigint): boolean {
    const { limit } = this;
    if (ts !== TS_MAX && limit !== undefined && ts > limit) return false;
    this.deps.concurrencyManager.updateMaxTs(ts);
    return true;
  }

  /** Raises max_ts; resolves with the failure that a request without a transaction is told. */
  async refusal(ts: bigint): Promise<Failure | undefined> {
    const refused = await this.raise(ts);
    return refused?.error.type === "region" ? regionFailure(refused.error.error) : undefined;
  }

  private async raiseBeyond(ts: bigint): Promise<TxnFailure | undefined> {
    const { concurrencyManager, logger } = this.deps;
    await this.timestamp();
    const limit = this.limit ?? ts;
    if (ts > limit) {
      logger.warn("a read is too far ahead of pd's clock", { ts, limit });
      return invalidMaxTsFailure(ts, limit);
    }
    concurrencyManager.updateMaxTs(ts);
    return undefined;
  }

  /** Whether max_ts covers what earlier leaders of the region have read; asks PD if not. */
  isSynced({ peer, term }: { readonly peer: ReadDelegate; readonly term: bigint }): boolean {
    const { regionId, region } = peer;
    const known = this.regions.get(regionId);
    if (known !== undefined && known.term === term && known.version === region.version) {
      if (!known.synced && !known.asked) this.ask(known);
      return known.synced;
    }
    if (this.regions.size >= LEADERSHIPS_MAX) this.regions.clear();
    const fresh = { term, version: region.version, synced: false, asked: false };
    this.regions.set(regionId, fresh);
    this.ask(fresh);
    return false;
  }

  /** Forgets a region that left this store. */
  forget(regionId: bigint): void {
    this.regions.delete(idToNumber(regionId));
  }

  /** The largest timestamp that a read may have; undefined until PD's clock is known. */
  get limit(): bigint | undefined {
    if (this.pdClock === undefined) return undefined;
    const { physicalMs, atMs } = this.pdClock;
    const passedMs = Math.ceil(this.deps.clock.monotonicMs() - atMs);
    return composeTs(physicalMs + BigInt(passedMs + this.options.maxTsDriftMs), 0n);
  }

  private ask(leadership: Leadership): void {
    leadership.asked = true;
    this.waiting.push(leadership);
    if (!this.isAsking) void this.askAll();
  }

  /** One request at a time; what comes meanwhile shares the next one. */
  private async askAll(): Promise<void> {
    this.isAsking = true;
    while (this.waiting.length > 0) {
      const batch = this.waiting;
      this.waiting = [];
      const ts = await this.timestamp();
      if (ts !== undefined) this.deps.concurrencyManager.updateMaxTs(ts);
      for (const leadership of batch) {
        leadership.synced = ts !== undefined;
        leadership.asked = false;
      }
    }
    this.isAsking = false;
  }

  /** Reads PD's clock again and again, for the bound of reads. */
  private async readClock(): Promise<void> {
    await this.timestamp();
    if (this.stopped) return;
    this.cancel = this.deps.timers.after(this.options.maxTsSyncIntervalMs, () => {
      void this.readClock();
    });
  }

  private async timestamp(): Promise<bigint | undefined> {
    const { clock, logger, pd } = this.deps;
    const askedMs = clock.monotonicMs();
    const reply = await pd.getTimestamps(1);
    if (!reply.ok) {
      logger.warn("max_ts cannot be refreshed", { err: reply.error.message });
      return undefined;
    }
    // Counted from before the question: the limit is rather too high than too low.
    this.pdClock = { physicalMs: tsPhysical(reply.value), atMs: askedMs };
    return reply.value;
  }
}
