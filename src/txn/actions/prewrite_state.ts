/**
 * What a prewrite knows: of its transaction, the same for all keys of the request, and of the key
 * at hand, which the steps of actions/prewrite.ts fill in one after the other.
 */
import { err } from "../../base/index.js";
import { keyToRaw, LAST_CHANGE_UNKNOWN, type LastChange } from "../../codec/index.js";
import type { TxnError, TxnErrorOf } from "../errors.js";
import type { AssertionLevel, Mutation } from "../requests.js";

/** How the transaction will be committed; a prewrite can fall back to "twoPc" half-way. */
export type CommitKind = "twoPc" | "async" | "onePc";

export interface PrewriteProps {
  readonly startTs: bigint;
  /** 0n: optimistic. */
  readonly forUpdateTs: bigint;
  readonly commitKind: CommitKind;
  /** User key. */
  readonly primary: Uint8Array;
  readonly txnSize: bigint;
  readonly lockTtlMs: bigint;
  readonly minCommitTs: bigint;
  /** 0n: no limit. */
  readonly maxCommitTs: bigint;
  /** Of optimistic transactions: the client or an empty range makes sure that nothing is there. */
  readonly skipConstraintCheck: boolean;
  readonly isRetryRequest: boolean;
  readonly assertionLevel: AssertionLevel;
  readonly txnSource: bigint;
}

/** One key under way. */
export interface PrewriteKey {
  readonly props: PrewriteProps;
  readonly mutation: Mutation;
  /** These three may be raised by a pessimistic lock that is found. */
  lockTtlMs: bigint;
  minCommitTs: bigint;
  forUpdateTs: bigint;
  /** Stored in the lock of a "lock" mutation. */
  lastChange: LastChange;
}

/** Returns the state before the first step. */
export function newPrewriteKey(props: PrewriteProps, mutation: Mutation): PrewriteKey {
  const { lockTtlMs, minCommitTs, forUpdateTs } = props;
  return { props, mutation, lockTtlMs, minCommitTs, forUpdateTs, lastChange: LAST_CHANGE_UNKNOWN };
}

/** Whether the transaction takes pessimistic locks. */
export function isPessimistic(props: Pick<PrewriteProps, "forUpdateTs">): boolean {
  return props.forUpdateTs !== 0n;
}

/** Whether a key must have no value before this mutation. */
export function shouldNotExist({ op }: Mutation): boolean {
  return op === "insert" || op === "checkNotExists";
}

/** Returns the failure that a pessimistic lock is not what the client believes to hold. */
export function lockNotFound(
  key: PrewriteKey,
  reason: TxnErrorOf<"pessimisticLockNotFound">["reason"],
): { readonly ok: false; readonly error: TxnError } {
  return err({
    kind: "pessimisticLockNotFound",
    startTs: key.props.startTs,
    key: keyToRaw(key.mutation.key),
    reason,
  });
}
