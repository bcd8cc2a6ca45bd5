/**
 * TxnClient: transactions over any number of regions, against any server that speaks TiKV's protocol.
 * What it throws is a ClientError; errors.ts has the kinds that transactions add.
 */
import { setMaxListeners } from "node:events";
import { BACKOFFS, backoffMs } from "../backoff.js";
import { assembleParts, type ClientParts, type ClientPorts, connectParts } from "../connect.js";
import { ClientError } from "../errors.js";
import type { OperationOptions } from "../types.js";
import { TxnContext } from "./context.js";
import { isRetryable } from "./errors.js";
import { LockResolver } from "./lock_resolver.js";
import {
  type BeginOptions,
  RETRIES_DEFAULT,
  type TransactionOptions,
  TXN_CLIENT_DEFAULTS,
  type TxnClientOptions,
} from "./options.js";
import { Snapshot } from "./snapshot.js";
import { Transaction } from "./transaction.js";

/** The options that a TxnClient needs and those that it may be given. */
export type TxnClientConfig = Pick<TxnClientOptions, "pdEndpoints"> & Partial<TxnClientOptions>;

export class TxnClient {
  readonly #context: TxnContext;
  readonly #resolver: LockResolver;
  readonly #closing: AbortController;
  #isClosed = false;

  private constructor(parts: ClientParts, options: TxnClientOptions) {
    this.#closing = new AbortController();
    setMaxListeners(0, this.#closing.signal);
    this.#context = new TxnContext(parts, options, this.#closing.signal);
    this.#resolver = new LockResolver(this.#context);
  }

  /**
   * Connects to PD and returns a client; the process lives until close(). Throws PdUnavailable when no
   * PD answers within timeoutMs and the retry budget.
   */
  static async connect(config: TxnClientConfig): Promise<TxnClient> {
    const options: TxnClientOptions = { ...TXN_CLIENT_DEFAULTS, ...config };
    return new TxnClient(await connectParts(options, "txn"), options);
  }

  /** Returns a client on other ports than sockets and the machine's clock, for simulators. */
  static over(ports: ClientPorts, config: Partial<TxnClientOptions> = {}): TxnClient {
    const options = { ...TXN_CLIENT_DEFAULTS, pdEndpoints: [], ...config };
    return new TxnClient(assembleParts(ports, options), options);
  }

  /** Returns a timestamp above all that were given out before. */
  async timestamp(options: OperationOptions = {}): Promise<bigint> {
    return this.#context.timestamp(this.#context.newOp(options));
  }

  /** Returns the state at `ts`, at a fresh timestamp if there is none. */
  async snapshot(ts?: bigint): Promise<Snapshot> {
    return new Snapshot(ts ?? (await this.timestamp()), this.#context, this.#resolver);
  }

  /** Begins a transaction. End it with commit() or rollback(); see also transaction(). */
  async begin(options: BeginOptions = {}): Promise<Transaction> {
    if (this.#isClosed) throw new ClientError("RUTILE:Client:Closed", "the client was closed");
    return new Transaction(await this.timestamp(), options, this.#context, this.#resolver);
  }

  /**
   * Runs `work` in a transaction and commits it; returns what `work` returned. Runs it again, at a
   * fresh timestamp, after a conflict or deadlock, at most `retry` times: `work` must do nothing else
   * that cannot be repeated. What `work` throws rolls the transaction back and is thrown. A commit
   * whose outcome is not known is never repeated: CommitUndetermined.
   */
  async transaction<T>(
    work: (txn: Transaction) => Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const { retry = RETRIES_DEFAULT, signal, ...begin } = options;
    const operation = signal === undefined ? {} : { signal };
    for (let count = 0; ; count++) {
      const txn = await this.begin(begin);
      try {
        const result = await work(txn);
        if (txn.state === "active") await txn.commit(operation);
        return result;
      } catch (error) {
        await txn.rollback();
        if (txn.state !== "rolledBack" || !isRetryable(error) || count >= retry) throw error;
      }
      await this.#pause(count, operation);
    }
  }

  /**
   * Ends all connections. Waits for commits that others see already to be finished, at most
   * closeTimeoutMs; operations under way then throw.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { background, options, parts } = this.#context;
    await background.drain(options.closeTimeoutMs);
    this.#closing.abort();
    parts.rpc.close();
    parts.pd.close();
  }

  /** Waits before another run, longer each time, so that those that collide do not again. */
  async #pause(count: number, operation: OperationOptions): Promise<void> {
    const { parts } = this.#context;
    const op = this.#context.newOp(operation);
    const ms = backoffMs(BACKOFFS.txnLockFast, count, parts.time.random());
    const signals = [this.#closing.signal, operation.signal].filter((one) => one !== undefined);
    await parts.time.sleep(ms, signals);
    op.check();
  }
}
