/**
 * Every transactional RPC through a grpc-js client, unary and as a batched command, over a storage
 * that records what it is asked: what clients send arrives, what storage answers comes back.
 */
import type { Client } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import {
  keyFromRaw,
  LOCK_TYPE,
  newLock,
  newRollback,
  newWrite,
  WRITE_TYPE,
} from "../../../src/codec/index.js";
import { fromBigInt, kvrpcpb, type tikvpb, toBigInt } from "../../../src/pb/index.js";
import type { TxnError } from "../../../src/txn/index.js";
import { FakeTxnStorage } from "../../support/fake_txn_storage.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

type Command = keyof tikvpb.BatchCommandsRequest.IRequest;
type Method = Parameters<typeof unary>[1];
type Answer = Record<string, unknown>;

/** Name of the method and of the command of BatchCommands; "" = unary alone. */
const METHODS = {
  get: ["KvGet", "Get"],
  scan: ["KvScan", "Scan"],
  prewrite: ["KvPrewrite", "Prewrite"],
  commit: ["KvCommit", "Commit"],
  cleanup: ["KvCleanup", "Cleanup"],
  batchGet: ["KvBatchGet", "BatchGet"],
  batchRollback: ["KvBatchRollback", "BatchRollback"],
  scanLock: ["KvScanLock", "ScanLock"],
  resolveLock: ["KvResolveLock", "ResolveLock"],
  deleteRange: ["KvDeleteRange", "DeleteRange"],
  acquirePessimisticLock: ["KvPessimisticLock", "PessimisticLock"],
  pessimisticRollback: ["KVPessimisticRollback", "PessimisticRollback"],
  checkTxnStatus: ["KvCheckTxnStatus", "CheckTxnStatus"],
  txnHeartBeat: ["KvTxnHeartBeat", "TxnHeartBeat"],
  checkSecondaryLocks: ["KvCheckSecondaryLocks", "CheckSecondaryLocks"],
  broadcastTxnStatus: ["BroadcastTxnStatus", "BroadcastTxnStatus"],
  mvccByKey: ["MvccGetByKey", ""],
  mvccByStartTs: ["MvccGetByStartTs", ""],
} as const;
type Name = keyof typeof METHODS;

const k = utf8;
const enc = (text: string): Uint8Array => keyFromRaw(k(text));
const text = (bytes: unknown): string => utf8Decode(bytes as Uint8Array);
const num = (value: unknown): bigint => toBigInt(value as number);

interface Stage {
  readonly served: Served;
  readonly storage: FakeTxnStorage;
  readonly client: Client;
  /** Calls in each of the ways that the method has. */
  each(name: Name, request: object, check: (answer: Answer, way: string) => void): Promise<void>;
}

async function stage(): Promise<Stage> {
  const storage = new FakeTxnStorage();
  const served = await startServed({ txn: storage });
  const client = served.connect();
  const batch = new BatchClient(client);
  batch.stream.on("error", () => {});
  const { context } = served;
  return {
    served,
    storage,
    client,
    async each(name, request, check) {
      const [method, command] = METHODS[name];
      const whole = { context, ...request };
      check((await unary(client, method as Method, whole as never)) as never, "unary");
      if (command === "") return;
      const [answer] = await batch.call({ [command]: whole });
      check((answer as unknown as Record<Command, Answer>)[command] as Answer, "batched");
    },
  };
}

test("the context arrives whole: isolation, locks to pass, cache, deadline, kinds of reads", async () => {
  const { served, storage, each } = await stage();
  storage.answer({ value: undefined, commitTs: 0n });
  const context = {
    ...served.context,
    isolationLevel: kvrpcpb.IsolationLevel.RCCheckTS,
    resolvedLocks: [1, fromBigInt(0xffff_ffff_ffff_fff0n)],
    committedLocks: [2],
    notFillCache: true,
    maxExecutionDurationMs: 1500,
    replicaRead: true,
    staleRead: true,
  };
  await each("get", { context, key: k("a"), version: 7 }, () => {
    const { method, context: got, args } = storage.last;
    assert.is(method, "get");
    assert.is(got.regionId, served.fixture.ctx.regionId);
    assert.is(got.isolation, "rcCheckTs");
    assert.equal(got.resolvedLocks, [1n, 0xffff_ffff_ffff_fff0n]);
    assert.equal(got.committedLocks, [2n]);
    assert.is(got.fillCache, false);
    assert.is(got.maxExecutionMs, 1500);
    assert.ok(got.replicaRead && got.staleRead);
    assert.equal(args, [enc("a"), 7n]);
  });
  await served.stop();
});

test("KvGet: an empty value is no missing key; commit_ts when asked; details", async () => {
  const { served, storage, each } = await stage();
  storage.cost = (details) => {
    details.waitMs = 2;
    details.processMs = 3.5;
    details.statistics.write.processedKeys = 1;
    details.statistics.write.seek = 2;
    details.statistics.processedSize = 30;
  };
  storage.answer({ value: k(""), commitTs: 9n });
  await each("get", { key: k("a"), version: 7, needCommitTs: true }, (got) => {
    assert.is(got.notFound, false);
    assert.is(text(got.value), "");
    assert.is(num(got.commitTs), 9n);
    const details = got.execDetailsV2 as kvrpcpb.ExecDetailsV2;
    assert.is(num(details.timeDetailV2?.waitWallTimeNs), 2_000_000n);
    assert.is(num(details.timeDetailV2?.processWallTimeNs), 3_500_000n);
    assert.is(num(details.timeDetail?.processWallTimeMs), 3n);
    assert.is(num(details.scanDetailV2?.processedVersions), 1n);
    assert.is(num(details.scanDetailV2?.totalVersions), 2n);
    assert.is(num(details.scanDetailV2?.processedVersionsSize), 30n);
  });
  await each("get", { key: k("a"), version: 7 }, (got) => assert.is(num(got.commitTs), 0n));
  storage.answer({ value: undefined, commitTs: 0n });
  await each("get", { key: k("a"), version: 7 }, (got) => assert.is(got.notFound, true));
  await served.stop();
});

test("KvBatchGet and KvScan: pairs, errors of pairs, and of the whole in both places", async () => {
  const { served, storage, each } = await stage();
  const locked: TxnError = { kind: "alreadyExist", key: k("b") };
  storage.answer([
    { key: enc("a"), value: k("1"), commitTs: 5n },
    { key: enc("b"), error: locked },
  ]);
  const check = (got: Answer): void => {
    const [first, second] = got.pairs as kvrpcpb.KvPair[];
    assert.is(`${text(first?.key)}=${text(first?.value)}`, "a=1");
    assert.is(text(second?.error?.alreadyExist?.key), "b");
  };
  await each("batchGet", { keys: [k("a"), k("b")], version: 9, needCommitTs: true }, (got) => {
    check(got);
    assert.is(num((got.pairs as kvrpcpb.KvPair[])[0]?.commitTs), 5n);
    assert.equal(storage.last.args, [[enc("a"), enc("b")], 9n]);
    assert.ok(got.execDetailsV2);
  });
  const bounds = { startKey: k("a"), endKey: k("c"), version: 9, limit: 4, sampleStep: 2 };
  await each("scan", { ...bounds, keyOnly: true, reverse: true }, (got) => {
    check(got);
    const [range] = storage.last.args;
    const encoded = { startKey: enc("a"), endKey: enc("c"), version: 9n, limit: 4, sampleStep: 2 };
    assert.equal(range, { ...encoded, keyOnly: true, reverse: true });
  });
  await each("scan", { version: 9, limit: 1 }, () => {
    const [range] = storage.last.args as [{ startKey: Uint8Array; endKey: Uint8Array }];
    assert.is(range.startKey.length + range.endKey.length, 0, "open bounds stay open");
  });
  storage.fail({ type: "txn", error: { kind: "invalidRequest", message: "no" } });
  for (const name of ["batchGet", "scan"] as const) {
    await each(name, { version: 9 }, (got) => {
      assert.is((got.error as kvrpcpb.KeyError).abort, "no");
      assert.is((got.pairs as kvrpcpb.KvPair[])[0]?.error?.abort, "no");
    });
  }
  await served.stop();
});

const LOCK = {
  key: k("b"),
  lock: newLock({ type: LOCK_TYPE.put, primary: k("p"), startTs: 4n, ttl: 3000n }),
};

test("KvPrewrite: mutations, actions and constraints arrive; locks and timestamps come back", async () => {
  const { served, storage, each } = await stage();
  storage.answer({ locks: [], minCommitTs: 12n, onePcCommitTs: 13n });
  const mutations = [
    { op: kvrpcpb.Op.Put, key: k("a"), value: k("1"), assertion: kvrpcpb.Assertion.NotExist },
    { op: kvrpcpb.Op.Del, key: k("b"), value: k("dropped") },
    { op: kvrpcpb.Op.Lock, key: k("c") },
    { op: kvrpcpb.Op.Insert, key: k("d"), value: k("2") },
    { op: kvrpcpb.Op.CheckNotExists, key: k("e") },
  ];
  const request = {
    context: { ...served.context, isRetryRequest: true, txnSource: 3 },
    mutations,
    primaryLock: k("a"),
    startVersion: 5,
    lockTtl: 100,
    txnSize: 6,
    minCommitTs: 7,
    maxCommitTs: 8,
    useAsyncCommit: true,
    secondaries: [k("b")],
    tryOnePc: true,
    assertionLevel: kvrpcpb.AssertionLevel.Strict,
    forUpdateTs: 9,
    pessimisticActions: [0, 1, 2, 0, 1],
    forUpdateTsConstraints: [{ index: 1, expectedForUpdateTs: 77 }],
  };
  await each("prewrite", request, (got) => {
    assert.is(num(got.minCommitTs), 12n);
    assert.is(num(got.onePcCommitTs), 13n);
    assert.equal(got.errors, []);
    assert.is(storage.last.method, "prewrite");
    const [sent] = storage.last.args as [
      { mutations: { key: Uint8Array }[]; secondaries: Uint8Array[] },
    ];
    const { mutations: decoded, secondaries, ...fields } = sent;
    assert.equal(secondaries.map(text), ["b"]);
    assert.equal(fields, {
      primary: k("a"),
      startTs: 5n,
      lockTtlMs: 100n,
      forUpdateTs: 9n,
      txnSize: 6n,
      minCommitTs: 7n,
      maxCommitTs: 8n,
      skipConstraintCheck: false,
      isRetryRequest: true,
      useAsyncCommit: true,
      tryOnePc: true,
      assertionLevel: "strict",
      txnSource: 3n,
    });
    const [skip, check, constraint] = [
      "skipPessimisticCheck",
      "doPessimisticCheck",
      "doConstraintCheck",
    ];
    const rows = (decoded as unknown as Answer[]).map((row) => [
      row.op,
      row.assertion,
      row.pessimisticAction,
      row.expectedForUpdateTs,
      text(row.value),
    ]);
    assert.equal(rows, [
      ["put", "notExist", skip, 0n, "1"],
      ["delete", "none", check, 77n, ""],
      ["lock", "none", constraint, 0n, ""],
      ["insert", "none", skip, 0n, "2"],
      ["checkNotExists", "none", check, 0n, ""],
    ]);
    assert.equal(
      decoded.map(({ key }) => key),
      ["a", "b", "c", "d", "e"].map(enc),
    );
  });
  storage.answer({ locks: [LOCK], minCommitTs: 0n, onePcCommitTs: 0n });
  await each("prewrite", { mutations, primaryLock: k("a"), startVersion: 5 }, (got) => {
    const [error] = got.errors as kvrpcpb.KeyError[];
    assert.is(text(error?.locked?.primaryLock), "p");
    const [sent] = storage.last.args as [{ secondaries: unknown; forUpdateTs: bigint }];
    assert.is(sent.secondaries, undefined, "without async commit there is no list");
    assert.is(sent.forUpdateTs, 0n);
  });
  await served.stop();
});

test("requests that no client sends are refused before storage is asked", async () => {
  const { served, storage, each } = await stage();
  const put = { op: kvrpcpb.Op.Put, key: k("a"), value: k("1") };
  const rows: readonly (readonly [Name, object, string])[] = [
    [
      "prewrite",
      { mutations: [{ op: kvrpcpb.Op.Rollback, key: k("a") }], startVersion: 1 },
      "mismatch Op in prewrite mutations: 3",
    ],
    [
      "prewrite",
      { mutations: [put, put], startVersion: 1, forUpdateTs: 2, pessimisticActions: [1] },
      "prewrite request invalid: 1 pessimistic actions for 2 mutations",
    ],
    [
      "prewrite",
      { mutations: [put], forUpdateTsConstraints: [{ index: 1, expectedForUpdateTs: 1 }] },
      "prewrite request invalid: for_update_ts constraint set for index 1 while 1 mutations were given",
    ],
    ["prewrite", { mutations: [put], txnFileChunks: [1] }, "transaction files are not supported"],
    [
      "acquirePessimisticLock",
      { mutations: [put], startVersion: 1 },
      "mismatch Op in pessimistic lock mutations: 0",
    ],
    [
      "resolveLock",
      { keys: [k("a")] },
      "resolve lock request invalid: keys are given without start_version",
    ],
  ];
  for (const [name, request, abort] of rows) {
    await each(name, request, (got) => {
      const errors = (got.errors ?? [got.error]) as kvrpcpb.KeyError[];
      assert.is(errors[0]?.abort, abort);
    });
  }
  assert.equal(storage.calls, []);
  await served.stop();
});

test("shared locks: a unary call is UNIMPLEMENTED, a batch says so and goes on", async () => {
  const { served, storage, client } = await stage();
  const { context } = served;
  const { SharedLock, SharedPessimisticLock } = kvrpcpb.Op;
  const batch = new BatchClient(client);
  for (const [method, command, op] of [
    ["KvPrewrite", "Prewrite", SharedLock],
    ["KvPessimisticLock", "PessimisticLock", SharedPessimisticLock],
  ] as const) {
    const request = { context, mutations: [{ op, key: k("a") }], startVersion: 5 };
    const error = await unary(client, method, request).then(
      () => undefined,
      (thrown: { code: number; details: string }) => thrown,
    );
    const text = "shared locks are not supported";
    assert.equal([error?.code, error?.details], [12, text]);
    const [answer] = await batch.call({ [command]: request });
    assert.is((answer?.[command] as kvrpcpb.PrewriteResponse).errors[0]?.abort, text);
  }
  assert.equal(storage.calls, []);
  await served.stop();
});

test("KvPessimisticLock: values and flags in normal mode, one result in force-lock mode", async () => {
  const { served, storage, each } = await stage();
  const lock = (key: string, assertion = 0) => ({
    op: kvrpcpb.Op.PessimisticLock,
    key: k(key),
    assertion,
  });
  const request = {
    context: { ...served.context, resourceGroupTag: k("tag") },
    mutations: [lock("a", kvrpcpb.Assertion.NotExist), lock("b")],
    primaryLock: k("p"),
    startVersion: 5,
    forUpdateTs: 6,
    lockTtl: 7,
    isFirstLock: true,
    waitTimeout: -1,
    returnValues: true,
    checkExistence: true,
    minCommitTs: 8,
    lockOnlyIfExists: true,
  };
  storage.answer({ results: [{ type: "value", value: k("1") }, { type: "value" }] });
  await each("acquirePessimisticLock", request, (got) => {
    assert.equal((got.values as Uint8Array[]).map(text), ["1", ""]);
    assert.equal(got.notFounds, [false, true]);
    assert.equal(got.results, []);
    const [sent] = storage.last.args as [Answer];
    assert.equal(sent, {
      keys: [
        { key: enc("a"), shouldNotExist: true },
        { key: enc("b"), shouldNotExist: false },
      ],
      primary: k("p"),
      startTs: 5n,
      lockTtlMs: 7n,
      isFirstLock: true,
      forUpdateTs: 6n,
      waitTimeoutMs: -1,
      returnValues: true,
      checkExistence: true,
      minCommitTs: 8n,
      lockOnlyIfExists: true,
      allowLockWithConflict: false,
      resourceGroupTag: k("tag"),
    });
  });
  storage.answer({ results: [{ type: "existence", exists: true }, { type: "existence" }] });
  await each("acquirePessimisticLock", request, (got) => {
    assert.equal(got.values, []);
    assert.equal(got.notFounds, [false, true]);
  });
  storage.answer({ results: [{ type: "empty" }, { type: "empty" }] });
  await each("acquirePessimisticLock", request, (got) => {
    assert.equal([got.values, got.notFounds, got.results], [[], [], []]);
  });
  await served.stop();
});

test("KvPessimisticLock in force-lock mode answers one result a key, with an error too", async () => {
  const { served, storage, each } = await stage();
  const request = {
    mutations: [{ op: kvrpcpb.Op.PessimisticLock, key: k("a") }],
    startVersion: 5,
    wakeUpMode: kvrpcpb.PessimisticLockWakeUpMode.WakeUpModeForceLock,
  };
  const { LockResultNormal, LockResultLockedWithConflict, LockResultFailed } =
    kvrpcpb.PessimisticLockKeyResultType;
  const rows: readonly (readonly [object, readonly unknown[]])[] = [
    [{ type: "empty" }, [LockResultNormal, "", false, 0n]],
    [{ type: "value", value: k("1") }, [LockResultNormal, "1", true, 0n]],
    [{ type: "value" }, [LockResultNormal, "", false, 0n]],
    [{ type: "existence", exists: true }, [LockResultNormal, "", true, 0n]],
    [
      { type: "lockedWithConflict", value: k("2"), conflictTs: 9n },
      [LockResultLockedWithConflict, "2", true, 9n],
    ],
  ];
  const fields = (got: Answer): unknown[] => {
    const results = got.results as kvrpcpb.PessimisticLockKeyResult[];
    assert.is(results.length, 1);
    const [{ type, value, existence, lockedWithConflictTs }] = results as [
      kvrpcpb.PessimisticLockKeyResult,
    ];
    return [type, text(value), existence, num(lockedWithConflictTs)];
  };
  for (const [result, expected] of rows) {
    storage.answer({ results: [result] });
    await each("acquirePessimisticLock", request, (got) => {
      assert.equal(fields(got), expected);
      assert.equal([got.values, got.notFounds, got.errors], [[], [], []]);
    });
  }
  const failures = (got: Answer): void => {
    assert.equal(fields(got), [LockResultFailed, "", false, 0n]);
    assert.is(text((got.errors as kvrpcpb.KeyError[])[0]?.locked?.key), "b");
  };
  const error: TxnError = { kind: "keyIsLocked", lock: LOCK };
  storage.answer({ results: [{ type: "failed", error }] });
  await each("acquirePessimisticLock", request, failures);
  storage.fail({ type: "txn", error });
  await each("acquirePessimisticLock", request, failures);
  await served.stop();
});

test("commit, rollbacks, heart beat and resolve: keys and timestamps both ways", async () => {
  const { served, storage, each } = await stage();
  const keys = [k("a"), k("b")];
  const both = [enc("a"), enc("b")];
  storage.answer({ commitTs: 9n });
  await each("commit", { keys, startVersion: 5, commitVersion: 9 }, (got) => {
    assert.is(num(got.commitVersion), 9n);
    assert.equal(storage.last.args, [{ keys: both, startTs: 5n, commitTs: 9n }]);
    const details = got.execDetailsV2 as kvrpcpb.ExecDetailsV2;
    assert.ok(details.writeDetail && details.timeDetailV2 && details.scanDetailV2);
  });
  storage.answer(undefined);
  await each("batchRollback", { keys, startVersion: 5 }, (got) => {
    assert.is(got.error, null);
    assert.equal(storage.last.args, [{ keys: both, startTs: 5n }]);
  });
  await each("pessimisticRollback", { keys, startVersion: 5, forUpdateTs: 6 }, (got) => {
    assert.equal(got.errors, []);
    assert.equal(storage.last.args, [{ keys: both, startTs: 5n, forUpdateTs: 6n }]);
  });
  await each("resolveLock", { keys, startVersion: 5, commitVersion: 7 }, () => {
    assert.equal(storage.last.args, [{ txns: new Map([[5n, 7n]]), keys: both }]);
  });
  const txnInfos = [{ txn: 5, status: 7 }, { txn: 6 }];
  await each("resolveLock", { txnInfos }, () => {
    const txns = new Map([
      [5n, 7n],
      [6n, 0n],
    ]);
    assert.equal(storage.last.args, [{ txns, keys: [] }]);
  });
  storage.answer({ lockTtlMs: 777n });
  const beat = { primaryLock: k("p"), startVersion: 5, adviseLockTtl: 6, minCommitTs: 7 };
  await each("txnHeartBeat", beat, (got) => {
    assert.is(num(got.lockTtl), 777n);
    const sent = { primaryKey: enc("p"), startTs: 5n, adviseTtlMs: 6n, minCommitTs: 7n };
    assert.equal(storage.last.args, [sent]);
  });
  await served.stop();
});

test("KvCleanup of a committed transaction answers its timestamp, other errors as they are", async () => {
  const { served, storage, each } = await stage();
  const request = { key: k("a"), startVersion: 5, currentTs: 6 };
  storage.answer(undefined);
  await each("cleanup", request, (got) => {
    assert.is(got.error, null);
    assert.equal(storage.last.args, [{ key: enc("a"), startTs: 5n, currentTs: 6n }]);
  });
  const committed: TxnError = { kind: "committed", startTs: 5n, commitTs: 8n, key: k("a") };
  storage.fail({ type: "txn", error: committed });
  await each("cleanup", request, (got) => {
    assert.is(num(got.commitVersion), 8n);
    assert.is(got.error, null);
  });
  storage.fail({ type: "txn", error: { kind: "keyIsLocked", lock: LOCK } });
  await each("cleanup", request, (got) => {
    assert.is(text((got.error as kvrpcpb.KeyError).locked?.key), "b");
  });
  await served.stop();
});

test("KvCheckTxnStatus tells each status by its action", async () => {
  const { served, storage, each } = await stage();
  const { Action } = kvrpcpb;
  const request = {
    primaryKey: k("p"),
    lockTs: 5,
    callerStartTs: 6,
    currentTs: 7,
    rollbackIfNotExist: true,
    forceSyncCommit: true,
    resolvingPessimisticLock: true,
    verifyIsPrimary: true,
  };
  const rows: readonly (readonly [object, number, bigint, bigint])[] = [
    [{ type: "rolledBack", action: "noAction" }, Action.NoAction, 0n, 0n],
    [{ type: "rolledBack", action: "ttlExpireRollback" }, Action.TTLExpireRollback, 0n, 0n],
    [{ type: "rolledBack", action: "lockNotExistRollback" }, Action.LockNotExistRollback, 0n, 0n],
    [
      { type: "pessimisticRolledBack", action: "ttlExpirePessimisticRollback" },
      Action.TTLExpirePessimisticRollback,
      0n,
      0n,
    ],
    [
      { type: "lockNotExistDoNothing", action: "lockNotExistDoNothing" },
      Action.LockNotExistDoNothing,
      0n,
      0n,
    ],
    [{ type: "committed", commitTs: 9n, action: "noAction" }, Action.NoAction, 9n, 0n],
    [
      { type: "uncommitted", lock: LOCK, action: "minCommitTsPushed" },
      Action.MinCommitTSPushed,
      0n,
      3000n,
    ],
  ];
  for (const [status, action, commitVersion, lockTtl] of rows) {
    storage.answer(status);
    await each("checkTxnStatus", request, (got) => {
      const told = [got.action, num(got.commitVersion), num(got.lockTtl)];
      assert.equal(told, [action, commitVersion, lockTtl]);
      const info = got.lockInfo as kvrpcpb.LockInfo | null;
      assert.is(info === null ? undefined : text(info.key), lockTtl === 0n ? undefined : "p");
    });
  }
  assert.equal(storage.last.args, [
    {
      primaryKey: enc("p"),
      lockTs: 5n,
      callerStartTs: 6n,
      currentTs: 7n,
      rollbackIfNotExist: true,
      forceSyncCommit: true,
      resolvingPessimisticLock: true,
      verifyIsPrimary: true,
    },
  ]);
  await served.stop();
});

test("KvCheckSecondaryLocks and KvScanLock tell locks; a commit; nothing for a rollback", async () => {
  const { served, storage, each } = await stage();
  const request = { keys: [k("a")], startVersion: 5 };
  storage.answer({ type: "locked", locks: [LOCK] });
  await each("checkSecondaryLocks", request, (got) => {
    assert.is(text((got.locks as kvrpcpb.LockInfo[])[0]?.key), "b");
    assert.equal(storage.last.args, [{ keys: [enc("a")], startTs: 5n }]);
  });
  storage.answer({ type: "committed", commitTs: 8n });
  await each("checkSecondaryLocks", request, (got) => assert.is(num(got.commitTs), 8n));
  storage.answer({ type: "rolledBack" });
  await each("checkSecondaryLocks", request, (got) => {
    assert.equal([got.locks, num(got.commitTs), got.error], [[], 0n, null]);
  });
  storage.answer([LOCK]);
  const range = { startKey: k("a"), maxVersion: 5, limit: 3 };
  await each("scanLock", range, (got) => {
    const [lock] = got.locks as kvrpcpb.LockInfo[];
    assert.equal(
      [text(lock?.key), text(lock?.primaryLock), num(lock?.lockVersion)],
      ["b", "p", 4n],
    );
    const [sent] = storage.last.args as [{ endKey: Uint8Array }];
    const { endKey, ...fields } = sent;
    assert.is(endKey.length, 0);
    assert.equal(fields, { startKey: enc("a"), maxVersion: 5n, limit: 3 });
  });
  await served.stop();
});

test("MvccGetByKey and MvccGetByStartTs tell lock, writes and values", async () => {
  const { served, storage, each } = await stage();
  const info = {
    lock: { ...LOCK.lock, lastChange: { ts: 3n, versions: 2n } },
    writes: [
      {
        commitTs: 9n,
        write: newWrite({ type: WRITE_TYPE.put, startTs: 8n, gcFence: 0n, shortValue: k("v") }),
      },
      { commitTs: 7n, write: newRollback(7n, true) },
    ],
    values: [{ startTs: 8n, value: k("long") }],
  };
  const check = (got: Answer): void => {
    const { lock, writes, values } = got.info as kvrpcpb.MvccInfo;
    assert.equal([text(lock?.primary), num(lock?.startTs), lock?.type], ["p", 4n, kvrpcpb.Op.Put]);
    assert.equal([num(lock?.lastChangeTs), num(lock?.versionsToLastChange)], [3n, 2n]);
    const told = writes.map(({ type, commitTs, shortValue, hasGcFence }) => [
      type,
      num(commitTs),
      text(shortValue),
      hasGcFence,
    ]);
    assert.equal(told, [
      [kvrpcpb.Op.Put, 9n, "v", true],
      [kvrpcpb.Op.Rollback, 7n, "p", false],
    ]);
    assert.equal(
      values.map(({ startTs, value }) => [num(startTs), text(value)]),
      [[8n, "long"]],
    );
  };
  storage.answer(info);
  await each("mvccByKey", { key: k("a") }, (got) => {
    check(got);
    assert.equal(storage.last.args, [enc("a")]);
  });
  storage.answer({ key: enc("a"), info });
  await each("mvccByStartTs", { startTs: 8 }, (got) => {
    check(got);
    assert.is(text(got.key), "a");
    assert.equal(storage.last.args, [8n]);
  });
  storage.answer(undefined);
  await each("mvccByStartTs", { startTs: 8 }, (got) => {
    assert.equal((got.info as kvrpcpb.MvccInfo).writes, []);
    assert.is((got.key as Uint8Array).length, 0);
  });
  storage.fail({ type: "txn", error: { kind: "invalidRequest", message: "no" } });
  await each("mvccByKey", { key: k("a") }, (got) => assert.is(got.error, "no"));
  await served.stop();
});

test("BroadcastTxnStatus: what is told of transactions arrives, and the answer is empty", async () => {
  const { served, storage, each } = await stage();
  const txnStatus = [
    { startTs: 5, commitTs: 9, isCompleted: true },
    { startTs: 6, minCommitTs: 7 },
    { startTs: fromBigInt(0xffff_ffff_ffff_fff0n), rolledBack: true, isCompleted: true },
    { startTs: 8, isCompleted: true },
  ];
  await each("broadcastTxnStatus", { txnStatus }, (got) => assert.equal({ ...got }, {}));
  const told = [
    { startTs: 5n, commitTs: 9n },
    { startTs: 6n, commitTs: 0n },
    { startTs: 0xffff_ffff_ffff_fff0n, commitTs: 0n },
    { startTs: 8n, commitTs: 0n },
  ];
  assert.equal(storage.news, [...told, ...told]);
  await each("broadcastTxnStatus", {}, (got) => assert.equal({ ...got }, {}));
  await served.stop();
});

test("KvDeleteRange, GetStoreSafeTS and GetLockWaitInfo", async () => {
  const { served, storage, each, client } = await stage();
  await each("deleteRange", { startKey: k("a"), endKey: k("b"), notifyOnly: true }, (got) => {
    assert.is(got.error, "");
    assert.equal(storage.last.args, [enc("a"), enc("b"), true]);
  });
  const keyRange = { startKey: k("aa"), endKey: k("b") };
  assert.is(num((await unary(client, "GetStoreSafeTS", { keyRange })).safeTs), 3n);
  assert.is(num((await unary(client, "GetStoreSafeTS", {})).safeTs), 0n);
  storage.waits.push({
    txn: 1n,
    waitForTxn: 2n,
    keyHash: 3n,
    key: k("a"),
    resourceGroupTag: k("tag"),
    waitMs: 45.6,
  });
  const { entries } = await unary(client, "GetLockWaitInfo", {});
  const [entry] = entries;
  assert.equal([entry?.txn, entry?.waitForTxn, entry?.keyHash, entry?.waitTime].map(num), [
    1n,
    2n,
    3n,
    45n,
  ]);
  assert.equal([text(entry?.key), text(entry?.resourceGroupTag)], ["a", "tag"]);
  await served.stop();
});

test("a routing error stands alone in every response", async () => {
  const { served, storage, each } = await stage();
  const routing = [
    { type: "region", error: { kind: "staleCommand", message: "stale" } },
    { type: "txn", error: { kind: "maxTimestampNotSynced", startTs: 1n } },
  ] as const;
  for (const error of routing) {
    storage.fail(error);
    for (const name of Object.keys(METHODS) as Name[]) {
      if (name === "deleteRange" && error.type === "txn") continue;
      if (name === "broadcastTxnStatus") continue;
      await each(name, {}, (got, way) => {
        const { regionError } = got as { regionError: { [field: string]: unknown } };
        const field = error.type === "region" ? "staleCommand" : "maxTimestampNotSynced";
        assert.ok(regionError[field], `${name} ${way}`);
        const rest = Object.entries(got).filter(([, value]) => typeof value === "object");
        for (const [other, value] of rest) {
          const isEmpty = value === null || JSON.stringify(value) === "[]";
          const isNumber = value !== null && "low" in (value as object);
          const isBytes = value instanceof Uint8Array;
          assert.ok(other === "regionError" || isEmpty || isNumber || isBytes, `${name} ${other}`);
        }
      });
    }
  }
  await served.stop();
});

test("KvGC is UNIMPLEMENTED, as in TiKV, and so is what is not built", async () => {
  const { served, client } = await stage();
  const { context } = served;
  const methods = [
    "KvGC",
    "KvFlush",
    "KvBufferBatchGet",
    "KvPrepareFlashbackToVersion",
    "KvFlashbackToVersion",
  ] as const;
  for (const method of methods) {
    const error = await unary(client, method, { context } as never).then(
      () => undefined,
      (thrown: { code: number }) => thrown,
    );
    assert.is(error?.code, 12, method);
  }
  await served.stop();
});

test.run();
