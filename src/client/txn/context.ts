/** What all transactions of one client share. */
import type { Backoffer } from "../backoff.js";
import { type ClientParts, newBackoffer, untilAnswered } from "../connect.js";
import type { Attempts } from "../region_request.js";
import type { OperationOptions } from "../types.js";
import { Background } from "./background.js";
import type { TxnClientOptions } from "./options.js";

/** Returns the attempts of a request that has not been sent. */
export function freshAttempts(): Attempts {
  return { sent: 0, isOpen: false };
}

export class TxnContext {
  readonly parts: ClientParts;
  readonly options: TxnClientOptions;
  readonly background: Background;
  /** Fires when the client is closed. */
  readonly closing: AbortSignal;

  constructor(parts: ClientParts, options: TxnClientOptions, closing: AbortSignal) {
    this.parts = parts;
    this.options = options;
    this.background = new Background(options.backgroundMax, parts.time, options.log);
    this.closing = closing;
  }

  /** Returns the retries of an operation of the caller's; throws if the client is closed. */
  newOp(operation: OperationOptions = {}): Backoffer {
    const op = newBackoffer(this.options, this.parts.time, operation, this.closing);
    op.check();
    return op;
  }

  /** Returns the retries of work in the background. */
  backgroundOp(): Backoffer {
    return this.newOp({ timeoutMs: this.options.backgroundTimeoutMs });
  }

  /** Returns a new timestamp. */
  timestamp(op: Backoffer): Promise<bigint> {
    return untilAnswered(op, () => this.parts.pd.getTimestamps(1));
  }
}
