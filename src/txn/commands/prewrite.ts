/**
 * Prewrite of a transaction's keys in one region, optimistic or pessimistic: the first phase of
 * two, the whole of an async commit, or a commit in one phase.
 * Source: tikv src/storage/txn/commands/prewrite.rs.
 */
import { assert, compareBytes, equalBytes, err, ok, type Result } from "../../base/index.js";
import { keyAppendTs, keyFromRaw } from "../../codec/index.js";
import type { MvccReader, MvccSnapshot } from "../../mvcc/index.js";
import { committedTsOf } from "../actions/committed_record.js";
import { prewriteKey } from "../actions/prewrite.js";
import { type CommitKind, isPessimistic, type PrewriteProps } from "../actions/prewrite_state.js";
import { PrewriteTxn } from "../actions/prewrite_txn.js";
import type { ProcessContext, TxnCommand, WriteOutcome } from "../command.js";
import type { LockInfo, TxnError } from "../errors.js";
import type { Mutation, PrewriteRequest, PrewriteResult } from "../requests.js";
import { withReader } from "./with_reader.js";

/** From this number of keys on, one look at their range may save a look at each of them. */
const RANGE_CHECK_MUTATIONS_MIN = 13;

export const prewriteCommand: TxnCommand<"prewrite"> = {
  kind: "prewrite",
  tag: "prewrite",
  latchKeys: ({ request }) => request.mutations.map(({ key }) => key),
  // Whether keys of a pessimistic transaction are looked for depends on each of them.
  seeksNewest: (request) =>
    !isPessimistic(request) &&
    !request.skipConstraintCheck &&
    request.mutations.length < RANGE_CHECK_MUTATIONS_MIN,
  processWrite({ request }, context) {
    const invalid = invalidity(request);
    if (invalid !== undefined) return err({ kind: "invalidRequest", message: invalid });
    if (commitKindOf(request) !== "twoPc" && !context.maxTsSynced) {
      return err({ kind: "maxTimestampNotSynced", startTs: request.startTs });
    }
    return withReader(context, (reader) => new Prewriter(request, context, reader).run());
  },
};

/** Returns what no client sends and what could not be carried out; undefined = nothing. */
function invalidity(request: PrewriteRequest): string | undefined {
  if (commitKindOf(request) === "twoPc") return undefined;
  if (request.mutations.length === 0) return "async commit and 1PC need a mutation";
  const keys = request.mutations.map(({ key }) => key).sort(compareBytes);
  const twice = keys.some((key, i) => i > 0 && equalBytes(key, keys[i - 1] as Uint8Array));
  return twice ? "a key occurs twice in a prewrite with async commit or 1PC" : undefined;
}

function commitKindOf({ tryOnePc, useAsyncCommit }: PrewriteRequest): CommitKind {
  if (tryOnePc) return "onePc";
  return useAsyncCommit ? "async" : "twoPc";
}

/** Whether the write CF has no record from the first to the last of `sorted`, encoded keys. */
function isRangeEmpty(snapshot: MvccSnapshot, sorted: readonly Uint8Array[]): boolean {
  const [first, last] = [sorted[0] as Uint8Array, sorted[sorted.length - 1] as Uint8Array];
  const upper = keyAppendTs(last, 0n);
  const cursor = snapshot.cursor("write", { lower: first, upper, keysOnly: true });
  try {
    return !cursor.seekToFirst();
  } finally {
    cursor.close();
  }
}

/** One request under way. */
class Prewriter {
  private readonly txn: PrewriteTxn;
  private readonly mutations: readonly Mutation[];
  private readonly locks: LockInfo[] = [];
  private props: PrewriteProps;
  /** Undefined: not an async commit, or no longer. */
  private secondaries: readonly Uint8Array[] | undefined;
  private minCommitTs = 0n;

  constructor(
    request: PrewriteRequest,
    context: ProcessContext,
    private readonly reader: MvccReader,
  ) {
    this.txn = new PrewriteTxn(request.startTs, context.concurrencyManager);
    this.secondaries = request.useAsyncCommit ? (request.secondaries ?? []) : undefined;
    const pessimistic = isPessimistic(request);
    let { mutations, skipConstraintCheck, isRetryRequest } = request;
    if (pessimistic) {
      // A request that was overtaken by its own retry and commit is a retry, whatever it says.
      if (context.committedTs(request.startTs) !== undefined) isRetryRequest = true;
    } else if (mutations.length >= RANGE_CHECK_MUTATIONS_MIN) {
      mutations = [...mutations].sort((a, b) => compareBytes(a.key, b.key));
      const keys = mutations.map(({ key }) => key);
      skipConstraintCheck ||= isRangeEmpty(context.snapshot, keys);
    }
    this.mutations = mutations;
    const commitKind = commitKindOf(request);
    // Field by field: a copy of a request costs more than all else that is done for one key.
    this.props = {
      startTs: request.startTs,
      forUpdateTs: request.forUpdateTs,
      commitKind,
      primary: request.primary,
      txnSize: request.txnSize,
      lockTtlMs: request.lockTtlMs,
      minCommitTs: request.minCommitTs,
      maxCommitTs: request.maxCommitTs,
      skipConstraintCheck,
      isRetryRequest,
      assertionLevel: request.assertionLevel,
      txnSource: request.txnSource,
    };
  }

  /** No memory lock outlives a failure, thrown ones included. */
  run(): Result<WriteOutcome<PrewriteResult>, TxnError> {
    let result: Result<WriteOutcome<PrewriteResult>, TxnError> | undefined;
    try {
      result = this.prewriteAll();
      return result;
    } finally {
      if (result?.ok !== true) this.txn.clear();
    }
  }

  private prewriteAll(): Result<WriteOutcome<PrewriteResult>, TxnError> {
    // Only an async commit's primary is something special.
    const primary = this.secondaries && keyFromRaw(this.props.primary);
    let assertionFailed: TxnError | undefined;
    for (const mutation of this.mutations) {
      const isPrimary = primary !== undefined && equalBytes(mutation.key, primary);
      const done = this.prewriteOne(mutation, isPrimary);
      if (done === undefined) continue;
      // Written later in the request's order, but told first: any other failure.
      if (done.kind === "assertionFailed") assertionFailed ??= done;
      else if (done.kind === "committed") return ok(this.alreadyCommitted(done.commitTs));
      else return err(done);
    }
    if (assertionFailed !== undefined) return err(assertionFailed);
    return ok(this.locks.length > 0 ? this.lockedByOthers() : this.prewritten());
  }

  /** Returns what ends the request; `committed` says that it did its work before. */
  private prewriteOne(mutation: Mutation, isPrimary: boolean): TxnError | undefined {
    const secondaries = isPrimary || this.secondaries === undefined ? this.secondaries : [];
    const result = prewriteKey(this.txn, this.reader, this.props, mutation, secondaries);
    if (result.ok) {
      const ts = result.value;
      if (this.props.commitKind !== "twoPc" && ts === 0n) this.fallBack();
      else if (ts > this.minCommitTs) this.minCommitTs = ts;
      return undefined;
    }
    const { error } = result;
    if (!mayBeCommitted(error)) return error;
    const { startTs } = this.props;
    const commitTs = committedTsOf(this.reader, mutation.key, startTs);
    if (commitTs !== undefined) return { kind: "committed", startTs, commitTs, key: mutation.key };
    if (error.kind === "commitTsTooLarge") this.fallBack();
    else if (error.kind === "keyIsLocked") this.locks.push(error.lock);
    else return error;
    return undefined;
  }

  /** Two phases for all keys of the request, those before this one too. */
  private fallBack(): void {
    this.props = { ...this.props, commitKind: "twoPc" };
    this.secondaries = undefined;
    this.minCommitTs = 0n;
    this.txn.fallBack();
  }

  private lockedByOthers(): WriteOutcome<PrewriteResult> {
    this.txn.clear();
    const minCommitTs = this.secondaries === undefined ? 0n : this.minCommitTs;
    return this.outcome({ locks: this.locks, minCommitTs, onePcCommitTs: 0n });
  }

  private alreadyCommitted(commitTs: bigint): WriteOutcome<PrewriteResult> {
    this.txn.clear();
    this.minCommitTs = commitTs;
    return this.prewritten();
  }

  private prewritten(): WriteOutcome<PrewriteResult> {
    const isOnePc = this.props.commitKind === "onePc";
    assert(!isOnePc || this.minCommitTs !== 0n, "a 1PC has a commit_ts");
    const released = isOnePc ? this.txn.commitOnePc(this.minCommitTs) : [];
    const response: PrewriteResult = {
      locks: [],
      minCommitTs: this.secondaries === undefined ? 0n : this.minCommitTs,
      onePcCommitTs: isOnePc ? this.minCommitTs : 0n,
    };
    return { ...this.outcome(response), released };
  }

  private outcome(response: PrewriteResult): WriteOutcome<PrewriteResult> {
    const { minCommitTs, onePcCommitTs, locks } = response;
    const decided = onePcCommitTs !== 0n;
    const early = locks.length === 0 && (decided || minCommitTs !== 0n);
    const { startTs } = this.props;
    return {
      type: "write",
      modifies: this.txn.mvcc.modifies,
      response,
      guards: this.txn.guards,
      released: [],
      // Readers meet the memory locks until the write is applied, so the client need not wait.
      policy: early ? "onCommitted" : "onApplied",
      knownStatus: decided ? [{ startTs, commitTs: onePcCommitTs }] : [],
      frees: false,
    };
  }
}

/** Whether a failure may come from the transaction's own commit. */
function mayBeCommitted(error: TxnError): boolean {
  switch (error.kind) {
    case "writeConflict":
      return error.conflictCommitTs > error.startTs;
    case "pessimisticLockNotFound":
    case "keyIsLocked":
    case "commitTsTooLarge":
      return true;
    default:
      return false;
  }
}
