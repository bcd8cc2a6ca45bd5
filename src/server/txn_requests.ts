/**
 * Requests of tikvpb.Tikv as commands of txn/: user keys become encoded keys, numbers of enums names.
 * What no client should send is answered, not asserted: TiKV dies on some of it.
 * Source: tikv src/storage/txn/commands/mod.rs.
 */
import { EMPTY_BYTES, err, ok, type Result } from "../base/index.js";
import { keyFromRaw } from "../codec/index.js";
import { kvrpcpb, toBigInt, toNumberSaturating } from "../pb/index.js";
import type {
  AcquirePessimisticLockRequest,
  AssertionKind,
  AssertionLevel,
  Mutation,
  MutationOp,
  PessimisticAction,
  PrewriteRequest,
  ResolveLockRequest,
  TxnErrorOf,
} from "../txn/index.js";

const NO_SHARED_LOCKS = "shared locks are not supported";

type Invalid = TxnErrorOf<"invalidRequest">;
type Decoded<R> = Result<R, Invalid>;

const { Op } = kvrpcpb;
/** By number of kvrpcpb.Op, those that can be prewritten. */
export const OPS: ReadonlyMap<number, MutationOp> = new Map([
  [Op.Put, "put"],
  [Op.Del, "delete"],
  [Op.Lock, "lock"],
  [Op.Insert, "insert"],
  [Op.CheckNotExists, "checkNotExists"],
]);
/** By number of kvrpcpb.Assertion, kvrpcpb.AssertionLevel, PrewriteRequest.PessimisticAction. */
export const ASSERTIONS: readonly AssertionKind[] = ["none", "exist", "notExist"];
export const ASSERTION_LEVELS: readonly AssertionLevel[] = ["off", "fast", "strict"];
export const ACTIONS: readonly PessimisticAction[] = [
  "skipPessimisticCheck",
  "doPessimisticCheck",
  "doConstraintCheck",
];

function invalid(message: string): { readonly ok: false; readonly error: Invalid } {
  return err({ kind: "invalidRequest", message });
}

/** Returns the encoded form of a range's end; an empty one stays empty: +inf. */
export function encodedBound(userKey: Uint8Array): Uint8Array {
  return userKey.length === 0 ? EMPTY_BYTES : keyFromRaw(userKey);
}

/** Returns the keys of a request, encoded. */
export function encodedKeys(userKeys: readonly Uint8Array[]): Uint8Array[] {
  return userKeys.map(keyFromRaw);
}

/** A copy: what a lock keeps must not hold on to the whole message. */
function kept(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

/** Returns the for_update_ts that each mutation's lock must have, 0n where none is asked for. */
function expectedForUpdateTs(request: kvrpcpb.PrewriteRequest): Decoded<readonly bigint[]> {
  const { mutations, forUpdateTsConstraints } = request;
  const expected = new Array<bigint>(mutations.length).fill(0n);
  for (const { index, expectedForUpdateTs: value } of forUpdateTsConstraints) {
    if (index >= mutations.length) {
      return invalid(
        `prewrite request invalid: for_update_ts constraint set for index ${index} ` +
          `while ${mutations.length} mutations were given`,
      );
    }
    expected[index] = toBigInt(value);
  }
  return ok(expected);
}

/**
 * The mutations of a prewrite. TiKV drops those for which a pessimistic transaction names no action;
 * here that is an error, since a dropped write is a lost one.
 */
function mutationsOf(request: kvrpcpb.PrewriteRequest, pessimistic: boolean): Decoded<Mutation[]> {
  const { mutations, pessimisticActions } = request;
  if (pessimistic && pessimisticActions.length < mutations.length) {
    return invalid(
      `prewrite request invalid: ${pessimisticActions.length} pessimistic actions ` +
        `for ${mutations.length} mutations`,
    );
  }
  const expected = expectedForUpdateTs(request);
  if (!expected.ok) return expected;
  const out: Mutation[] = [];
  for (const [index, mutation] of mutations.entries()) {
    const op = OPS.get(mutation.op);
    if (op === undefined) {
      if (mutation.op === Op.SharedLock) return invalid(NO_SHARED_LOCKS);
      return invalid(`mismatch Op in prewrite mutations: ${mutation.op}`);
    }
    const action = pessimistic ? (pessimisticActions[index] as number) : 0;
    out.push({
      op,
      key: keyFromRaw(mutation.key),
      value: op === "put" || op === "insert" ? mutation.value : EMPTY_BYTES,
      assertion: ASSERTIONS[mutation.assertion] ?? "none",
      pessimisticAction: ACTIONS[action] ?? "skipPessimisticCheck",
      expectedForUpdateTs: expected.value[index] as bigint,
    });
  }
  return ok(out);
}

/** Returns the command of a KvPrewrite. Err: an op that cannot be prewritten, or arrays at odds. */
export function prewriteRequest(request: kvrpcpb.PrewriteRequest): Decoded<PrewriteRequest> {
  const forUpdateTs = toBigInt(request.forUpdateTs);
  if (request.txnFileChunks.length > 0) return invalid("transaction files are not supported");
  const mutations = mutationsOf(request, forUpdateTs !== 0n);
  if (!mutations.ok) return mutations;
  return ok({
    kind: "prewrite",
    mutations: mutations.value,
    primary: kept(request.primaryLock),
    startTs: toBigInt(request.startVersion),
    lockTtlMs: toBigInt(request.lockTtl),
    forUpdateTs,
    txnSize: toBigInt(request.txnSize),
    minCommitTs: toBigInt(request.minCommitTs),
    maxCommitTs: toBigInt(request.maxCommitTs),
    skipConstraintCheck: request.skipConstraintCheck,
    isRetryRequest: request.context?.isRetryRequest ?? false,
    secondaries: request.useAsyncCommit ? request.secondaries : undefined,
    useAsyncCommit: request.useAsyncCommit,
    tryOnePc: request.tryOnePc,
    assertionLevel: ASSERTION_LEVELS[request.assertionLevel] ?? "off",
    txnSource: toBigInt(request.context?.txnSource ?? 0),
  });
}

/** Returns the command of a KvPessimisticLock. Err: an op that is no lock, or a shared one. */
export function pessimisticLockRequest(
  request: kvrpcpb.PessimisticLockRequest,
): Decoded<AcquirePessimisticLockRequest> {
  const wrong = request.mutations.find(({ op }) => op !== Op.PessimisticLock);
  if (wrong !== undefined) {
    return invalid(
      wrong.op === Op.SharedPessimisticLock
        ? NO_SHARED_LOCKS
        : `mismatch Op in pessimistic lock mutations: ${wrong.op}`,
    );
  }
  return ok({
    kind: "acquirePessimisticLock",
    keys: request.mutations.map(({ key, assertion }) => ({
      key: keyFromRaw(key),
      shouldNotExist: assertion === kvrpcpb.Assertion.NotExist,
    })),
    primary: kept(request.primaryLock),
    startTs: toBigInt(request.startVersion),
    lockTtlMs: toBigInt(request.lockTtl),
    isFirstLock: request.isFirstLock,
    forUpdateTs: toBigInt(request.forUpdateTs),
    waitTimeoutMs: toNumberSaturating(request.waitTimeout),
    returnValues: request.returnValues,
    checkExistence: request.checkExistence,
    minCommitTs: toBigInt(request.minCommitTs),
    lockOnlyIfExists: request.lockOnlyIfExists,
    allowLockWithConflict:
      request.wakeUpMode === kvrpcpb.PessimisticLockWakeUpMode.WakeUpModeForceLock,
    resourceGroupTag: kept(request.context?.resourceGroupTag ?? EMPTY_BYTES),
  });
}

/** Returns the command of a KvResolveLock. Err: keys without the transaction that they are of. */
export function resolveLockRequest(
  request: kvrpcpb.ResolveLockRequest,
): Decoded<ResolveLockRequest> {
  const startTs = toBigInt(request.startVersion);
  if (startTs === 0n && request.keys.length > 0) {
    return invalid("resolve lock request invalid: keys are given without start_version");
  }
  const txns = new Map<bigint, bigint>();
  if (startTs !== 0n) txns.set(startTs, toBigInt(request.commitVersion));
  else for (const { txn, status } of request.txnInfos) txns.set(toBigInt(txn), toBigInt(status));
  return ok({ kind: "resolveLock", txns, keys: encodedKeys(request.keys) });
}
