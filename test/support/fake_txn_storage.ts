/** Transactional storage that records what it is asked and answers what the test says. */
import { err, ok } from "../../src/base/index.js";
import type {
  ExecDetails,
  LockWait,
  Reply,
  TxnContext,
  TxnReply,
  TxnStatusNews,
  TxnStorage,
  TxnStorageError,
} from "../../src/storage/index.js";
import type { DeadlockRequest } from "../../src/txn/index.js";

/** One call: the method, or the kind of command for `run`, and its arguments behind the context. */
export interface FakeCall {
  readonly method: string;
  readonly context: TxnContext;
  readonly args: readonly unknown[];
}

/** Returns a storage whose answers are `answer(call)`; `err(…)` is for failures. */
export class FakeTxnStorage implements TxnStorage {
  readonly calls: FakeCall[] = [];
  readonly waits: LockWait[] = [];
  /** What every call costs, by the details that it fills in. */
  cost: (details: ExecDetails) => void = () => {};
  /** The next answer, whatever is asked. */
  reply: TxnReply<never> | Reply<never> = ok(undefined as never);

  /** Answers `value` from here on. */
  answer(value: unknown): void {
    this.reply = ok(value as never);
  }

  /** Fails with `error` from here on. */
  fail(error: TxnStorageError): void {
    this.reply = err(error);
  }

  /** The last call. */
  get last(): FakeCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error("nothing was asked");
    return call;
  }

  /** What was broadcast of transactions. */
  readonly news: TxnStatusNews[] = [];

  noteTxnStatus(news: readonly TxnStatusNews[]): void {
    this.news.push(...news);
  }

  readonly get = this.#read("get");
  readonly batchGet = this.#read("batchGet");
  readonly scan = this.#later("scan");
  readonly scanLock = this.#later("scanLock");
  readonly mvccByKey = this.#later("mvccByKey");
  readonly mvccByStartTs = this.#later("mvccByStartTs");
  readonly deleteRange = this.#later("deleteRange");
  readonly run: TxnStorage["run"] = (context, request, details) => {
    const { kind, ...fields } = request;
    return this.#later(kind)(context, fields, details) as never;
  };

  /** What other stores' detectors asked of this one. */
  readonly detected: DeadlockRequest[] = [];
  /** What they are answered. */
  verdict: ReturnType<TxnStorage["detect"]> = err("notLeader");

  detect(request: DeadlockRequest): ReturnType<TxnStorage["detect"]> {
    this.detected.push(request);
    return this.verdict;
  }

  safeTs(startKey: Uint8Array, endKey: Uint8Array): bigint {
    return BigInt(startKey.length + endKey.length);
  }

  lockWaits(): readonly LockWait[] {
    return this.waits;
  }

  #read(method: string) {
    return (context: TxnContext, ...given: unknown[]): never => {
      const details = given.at(-1) as Partial<ExecDetails> | undefined;
      const args = details?.statistics === undefined ? given : given.slice(0, -1);
      if (details?.statistics !== undefined) this.cost(details as ExecDetails);
      this.calls.push({ method, context, args });
      return this.reply as never;
    };
  }

  #later(method: string) {
    const read = this.#read(method);
    return async (context: TxnContext, ...given: unknown[]): Promise<never> =>
      read(context, ...given);
  }
}
