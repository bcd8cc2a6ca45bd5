/**
 * PD's own leader of GC, for clusters where nobody else does it: every now and then it resolves the
 * locks of transactions that are older than the data's life time, and then, and only then, publishes
 * the safe point that stores delete by. It runs until a safe point is moved from outside.
 *
 * Order of a round: target = now - life time, at most the least barrier → locks resolved in all
 * regions → below the oldest transaction that is alive → txn safe point → GC safe point. A round
 * that fails anywhere publishes nothing and is made again; it keeps nothing, so a crash between two
 * steps changes nothing.
 *
 * Why locks first: when the newest version hides the record that says how a transaction ended, a
 * lock that it left behind could not be told from one that was rolled back.
 * Source of the order: tidb pkg/store/gcworker/gc_worker.go.
 */
import { errorMessage, type Logger } from "../base/index.js";
import type { PdGc } from "../pd/index.js";

/** Below them a timestamp is physical milliseconds. */
const LOGICAL_BITS = 18n;

export interface GcLeaderOptions {
  /** Between the ends of rounds, milliseconds. */
  readonly runIntervalMs: number;
  /** How long versions stay readable after they are overwritten, milliseconds. */
  readonly lifeTimeMs: number;
}

export interface GcLeaderDeps {
  readonly pd: PdGc;
  /** Resolves locks; see client GcLocks.resolve. Rejects when one could not be resolved. */
  readonly resolveLocks: (
    safePoint: bigint,
  ) => Promise<{ readonly resolvedLocks: number; readonly oldestAlive: bigint | undefined }>;
  readonly logger: Logger;
}

/** What a round did; "published" says up to where. */
export type GcRound =
  | { readonly kind: "off"; readonly reason: "outside" | "notBootstrapped" }
  | { readonly kind: "nothing" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "published"; readonly safePoint: bigint };

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

export class GcLeader {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private running: Promise<void> = Promise.resolve();
  /** Why the last round failed: the same is not logged again and again. */
  private lastFailure = "";

  constructor(
    private readonly options: GcLeaderOptions,
    private readonly deps: GcLeaderDeps,
  ) {}

  /** Makes a round after each interval. */
  start(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      this.running = this.round().then(
        () => this.start(),
        (error: unknown) => {
          this.deps.logger.error("gc leader failed", {}, error);
          this.start();
        },
      );
    }, this.options.runIntervalMs);
    this.timer.unref();
  }

  /** No round follows. What is under way has to be ended by closing what resolves locks. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  /** Makes one round. */
  async round(): Promise<GcRound> {
    const { pd } = this.deps;
    if (pd.isLedOutside) return { kind: "off", reason: "outside" };
    if (!pd.isBootstrapped) return { kind: "off", reason: "notBootstrapped" };
    const now = await pd.now();
    if (now === undefined) return this.failed("no timestamp");
    const lifeTime = BigInt(this.options.lifeTimeMs) << LOGICAL_BITS;
    const { barriers, gcSafePoint } = await pd.state();
    const target = barriers.reduce(least, now > lifeTime ? now - lifeTime : 0n);
    if (target <= gcSafePoint) return { kind: "nothing" };
    let below: bigint;
    try {
      const { oldestAlive, resolvedLocks } = await this.deps.resolveLocks(target);
      below = oldestAlive === undefined ? target : least(target, oldestAlive - 1n);
      this.deps.logger.info("gc resolved locks", { target, resolved_locks: resolvedLocks });
    } catch (error) {
      return this.failed(errorMessage(error));
    }
    return this.publish(below, gcSafePoint);
  }

  private async publish(below: bigint, gcSafePoint: bigint): Promise<GcRound> {
    const { pd } = this.deps;
    // Somebody else may have taken over while locks were resolved.
    if (this.stopped || pd.isLedOutside) return { kind: "off", reason: "outside" };
    if (below <= gcSafePoint) return { kind: "nothing" };
    const reached = await pd.publish(below);
    if (!reached.ok) return this.failed(reached.error);
    this.lastFailure = "";
    return reached.value > gcSafePoint
      ? { kind: "published", safePoint: reached.value }
      : { kind: "nothing" };
  }

  private failed(reason: string): GcRound {
    const { logger } = this.deps;
    if (reason !== this.lastFailure) logger.info("gc publishes nothing", { reason });
    this.lastFailure = reason;
    return { kind: "failed", reason };
  }
}
