/**
 * Keeps the primary lock of a long transaction alive. The TTL of a lock counts from start_ts, so each
 * heartbeat asks for what has passed and managedTtlMs more.
 */
import { fromBigInt } from "../../pb/index.js";
import type { TxnContext } from "./context.js";

export class Heartbeat {
  readonly #context: TxnContext;
  readonly #startTs: bigint;
  readonly #elapsedMs: () => number;
  #primary: Uint8Array | undefined;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(context: TxnContext, startTs: bigint, elapsedMs: () => number) {
    this.#context = context;
    this.#startTs = startTs;
    this.#elapsedMs = elapsedMs;
  }

  /** Begins `firstMs` from now; a second call has no effect, nor has one after the end. */
  start(primary: Uint8Array, firstMs: number): void {
    if (this.#primary !== undefined || this.#isStopped || this.#context.closing.aborted) return;
    this.#primary = primary;
    this.#context.closing.addEventListener("abort", this.#onClosing, { once: true });
    this.#schedule(firstMs);
  }

  /** Ends it for good; a request under way does no harm. */
  stop(): void {
    this.#isStopped = true;
    this.#primary = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#context.closing.removeEventListener("abort", this.#onClosing);
  }

  readonly #onClosing = (): void => this.stop();

  #schedule(ms: number): void {
    this.#cancel = this.#context.parts.time.after(ms, () => {
      const primary = this.#primary;
      if (primary === undefined) return;
      void this.#context.background.run("heartbeat", () => this.#send(primary));
    });
  }

  async #send(primary: Uint8Array): Promise<void> {
    const { lifetimeMaxMs, managedTtlMs } = this.#context.options;
    const elapsedMs = this.#elapsedMs();
    if (elapsedMs > lifetimeMaxMs) {
      this.stop();
      return;
    }
    try {
      const op = this.#context.newOp({ timeoutMs: managedTtlMs });
      const body = {
        primaryLock: primary,
        startVersion: fromBigInt(this.#startTs),
        adviseLockTtl: Math.ceil(elapsedMs + managedTtlMs),
      };
      // An error would say that there is no lock, not yet or no more: commit finds out which.
      await this.#context.parts.sender.sendTo(primary, "TxnHeartBeat", body, op);
    } finally {
      if (this.#primary !== undefined) this.#schedule(managedTtlMs / 2);
    }
  }
}
