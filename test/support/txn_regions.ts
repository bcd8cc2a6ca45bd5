/** Transactional storage over regions whose leadership, leases and deliveries the test decides. */
import * as assert from "uvu/assert";
import { EMPTY_BYTES, type Logger, NULL_LOGGER, NULL_METRICS, utf8 } from "../../src/base/index.js";
import { keyFromRaw } from "../../src/codec/index.js";
import type { Engine } from "../../src/engine/index.js";
import { loadKernels } from "../../src/kernel/index.js";
import { Statistics } from "../../src/mvcc/index.js";
import type { RegionError } from "../../src/raftstore/index.js";
import {
  type ExecDetails,
  STORAGE_DEFAULTS,
  type StorageOptions,
  type TxnContext,
  type TxnReply,
} from "../../src/storage/index.js";
import { RaftStorage } from "../../src/storage/storage.js";
import type {
  AcquirePessimisticLockRequest,
  CommitRequest,
  Mutation,
  PrewriteRequest,
  TxnError,
} from "../../src/txn/index.js";
import { FakeClock } from "./fake_clock.js";
import { FakePd } from "./fake_pd.js";
import { type FakePeer, FakeRegions } from "./fake_regions.js";
import { FakeTimers } from "./fake_timers.js";
import { memoryEngine } from "./store_fixture.js";

const KERNELS = loadKernels({ memoryBytes: 1024 * 1024 });

/** Two regions, cut at the user key "m". */
export interface TxnSetup {
  readonly engine: Engine;
  readonly regions: FakeRegions;
  readonly storage: RaftStorage;
  readonly clock: FakeClock;
  readonly timers: FakeTimers;
  readonly pd: FakePd;
  readonly left: FakePeer;
  readonly right: FakePeer;
  /** Of the left region. */
  readonly ctx: TxnContext;
}

export const enc = (key: string): Uint8Array => keyFromRaw(utf8(key));
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets what is ready happen: several turns of the event loop. */
export async function settle(turns = 8): Promise<void> {
  for (let i = 0; i < turns; i++) await turn();
}

export function newDetails(): ExecDetails {
  const statistics = new Statistics();
  return { statistics, waitMs: 0, processMs: 0, latchWaitMs: 0, writeMs: 0, lockWaitMs: 0 };
}

/** Opens a storage and closes it; the engine refuses while a snapshot is open. */
export async function withTxnRegions(
  use: (setup: TxnSetup) => Promise<void>,
  options: Partial<StorageOptions> = {},
  logger: Logger = NULL_LOGGER,
): Promise<void> {
  const engine = await memoryEngine();
  const regions = new FakeRegions(engine);
  const left = regions.add(2n, EMPTY_BYTES, enc("m"));
  const right = regions.add(3n, enc("m"), EMPTY_BYTES);
  const clock = new FakeClock();
  const timers = new FakeTimers(clock);
  const pd = new FakePd();
  const storage = new RaftStorage(
    { ...STORAGE_DEFAULTS, ...options },
    {
      engine,
      router: regions,
      disk: { refuses: () => false },
      pd,
      clock,
      timers,
      logger,
      metrics: NULL_METRICS,
      kernels: KERNELS,
    },
  );
  const ctx = txnContext(regions, left);
  try {
    await use({ engine, regions, storage, clock, timers, pd, left, right, ctx });
  } finally {
    regions.holds = false;
    regions.deliver();
    await storage.stop();
    await engine.close();
  }
}

/** The context with which a client addresses a peer at SI. */
export function txnContext(regions: FakeRegions, peer: FakePeer): TxnContext {
  return {
    ...regions.context(peer),
    isolation: "si",
    resolvedLocks: [],
    committedLocks: [],
    fillCache: true,
    maxExecutionMs: 0,
  };
}

export function put(key: string, value: string, op: Mutation["op"] = "put"): Mutation {
  return {
    op,
    key: enc(key),
    value: utf8(value),
    assertion: "none",
    pessimisticAction: "skipPessimisticCheck",
    expectedForUpdateTs: 0n,
  };
}

export function prewriteOf(
  startTs: bigint,
  mutations: readonly Mutation[],
  fields: Partial<PrewriteRequest> = {},
): PrewriteRequest {
  return {
    kind: "prewrite",
    mutations,
    primary: utf8("k"),
    startTs,
    lockTtlMs: 3000n,
    forUpdateTs: 0n,
    txnSize: 1n,
    minCommitTs: 0n,
    maxCommitTs: 0n,
    skipConstraintCheck: false,
    isRetryRequest: false,
    secondaries: undefined,
    useAsyncCommit: false,
    tryOnePc: false,
    assertionLevel: "off",
    txnSource: 0n,
    ...fields,
  };
}

export function commitOf(
  keys: readonly string[],
  startTs: bigint,
  commitTs: bigint,
): CommitRequest {
  return { kind: "commit", keys: keys.map(enc), startTs, commitTs };
}

export function lockOf(
  key: string,
  startTs: bigint,
  fields: Partial<AcquirePessimisticLockRequest> = {},
): AcquirePessimisticLockRequest {
  return {
    kind: "acquirePessimisticLock",
    keys: [{ key: enc(key), shouldNotExist: false }],
    primary: utf8(key),
    startTs,
    lockTtlMs: 3000n,
    isFirstLock: false,
    forUpdateTs: startTs,
    waitTimeoutMs: 0,
    returnValues: false,
    checkExistence: false,
    minCommitTs: 0n,
    lockOnlyIfExists: false,
    allowLockWithConflict: false,
    resourceGroupTag: EMPTY_BYTES,
    ...fields,
  };
}

export function mustOk<T>(reply: TxnReply<T>): T {
  assert.ok(
    reply.ok,
    `an answer was expected: ${reply.ok ? "" : JSON.stringify(reply.error, big)}`,
  );
  return (reply as { value: T }).value;
}

export function mustFail(reply: TxnReply<unknown>): TxnError {
  assert.ok(!reply.ok && reply.error.type === "txn", "an error of the command was expected");
  return (reply as { error: { error: TxnError } }).error.error;
}

export function mustRefuse(reply: TxnReply<unknown>): RegionError {
  assert.ok(!reply.ok && reply.error.type === "region", "a region error was expected");
  return (reply as { error: { error: RegionError } }).error.error;
}

const big = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? `${value}` : value;
