/**
 * What clients send beside keys and timestamps, to a real store: every field of a context that TiKV
 * takes for resource control, traces and statistics is taken and changes no answer; commands and
 * gets tell what they cost.
 */
import type { Client } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { REAL_CLOCK } from "../../../src/node/real_clock.js";
import { fromBigInt, kvrpcpb, toBigInt, type Wire64 } from "../../../src/pb/index.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

const test = suite("contexts of transactions");
const { Op } = kvrpcpb;

let served: Served;
let client: Client;
let batch: BatchClient;
let lastTs = 1000n;
const nextTs = (): bigint => ++lastTs;

test.before(async () => {
  served = await startServed({ clock: REAL_CLOCK });
  client = served.connect();
  batch = new BatchClient(client);
  batch.stream.on("error", () => {});
});
test.after(() => served.stop());

/** Every field that this store has no use for; other values of them change nothing either. */
const EXTRAS: readonly kvrpcpb.IContext[] = [
  {},
  {
    priority: kvrpcpb.CommandPri.High,
    syncLog: true,
    recordTimeStat: true,
    recordScanStat: true,
    appliedIndex: 7,
    taskId: 8,
    resourceGroupTag: utf8("tag"),
    diskFullOpt: 1,
    traceContext: {},
    requestSource: "internal_gc",
    busyThresholdMs: 1,
    resourceControlContext: { resourceGroupName: "rg1", overridePriority: 16 },
    requestOrigin: 1,
    keyspaceName: "ks",
    keyspaceId: 0xffff_ffff,
    bucketsVersion: 3,
    sourceStmt: {},
    traceId: utf8("trace"),
    traceControlFlags: 5,
  },
  {
    priority: -1 as never,
    appliedIndex: fromBigInt((1n << 64n) - 1n),
    resourceControlContext: {
      resourceGroupName: "",
      penalty: {},
      overridePriority: fromBigInt(1n << 63n),
    },
    keyspaceIdentity: {},
    busyThresholdMs: 0xffff_ffff,
    requestSource: "x".repeat(10_000),
    maxExecutionDurationMs: fromBigInt((1n << 64n) - 1n),
  },
];

type Answer = Record<string, unknown>;
interface Sent {
  readonly method: string;
  readonly answer: Answer;
}

/** A life of two transactions, each request with the same extras. */
async function live(extras: kvrpcpb.IContext, key: string, isBatched: boolean): Promise<Sent[]> {
  const sent: Sent[] = [];
  const k = utf8(key);
  const context = { ...served.context, ...extras };
  const send = async (method: string, command: string, fields: object): Promise<Answer> => {
    const request = { context, ...fields };
    let answer: Answer;
    if (isBatched) {
      const [all] = await batch.call({ [command]: request });
      answer = (all as unknown as Record<string, Answer>)[command] as Answer;
    } else answer = (await unary(client, method as "KvGet", request as never)) as never;
    sent.push({ method, answer });
    return answer;
  };
  const startVersion = fromBigInt(nextTs());
  const commitVersion = fromBigInt(nextTs());
  const at = { startVersion, primaryLock: k, lockTtl: 3000, forUpdateTs: startVersion };
  const lock = { ...at, mutations: [{ op: Op.PessimisticLock, key: k }], waitTimeout: -1 };
  await send("KvPessimisticLock", "PessimisticLock", { ...lock, force: true, returnValues: true });
  await send("KvTxnHeartBeat", "TxnHeartBeat", { ...at, adviseLockTtl: 4000 });
  const mutations = [{ op: Op.Put, key: k, value: utf8("v") }];
  await send("KvPrewrite", "Prewrite", { ...at, mutations, pessimisticActions: [1] });
  const status = { primaryKey: k, lockTs: startVersion, currentTs: startVersion, isTxnFile: true };
  await send("KvCheckTxnStatus", "CheckTxnStatus", status);
  await send("KvCheckSecondaryLocks", "CheckSecondaryLocks", { keys: [k], startVersion });
  await send("KvCommit", "Commit", { keys: [k], startVersion, commitVersion });
  const version = fromBigInt(nextTs());
  await send("KvGet", "Get", { key: k, version });
  await send("KvBatchGet", "BatchGet", { keys: [k], version });
  await send("KvScan", "Scan", { startKey: k, endKey: utf8(`${key}~`), version, limit: 1 });
  await send("KVPessimisticRollback", "PessimisticRollback", { ...at, keys: [k] });
  const resolve = { keys: [k], startVersion, commitVersion, isAsync: true, isTxnFile: true };
  await send("KvResolveLock", "ResolveLock", resolve);
  await send("KvBatchRollback", "BatchRollback", { keys: [k], startVersion: version });
  return sent;
}

/** An answer without times and timestamps, readable. */
function plain({ method, answer }: Sent): string {
  const { execDetailsV2: _, ...rest } = answer;
  return `${method} ${JSON.stringify(rest, (name, value) => {
    const isTime = /Version|Ts$|durationToLast/i.test(name);
    if (isTime) return undefined;
    if (value?.type === "Buffer") return Buffer.from(value.data).toString();
    return value instanceof Uint8Array ? Buffer.from(value).toString() : value;
  })}`;
}

for (const isBatched of [false, true]) {
  test(`no field of a context changes an answer${isBatched ? ", batched" : ""}`, async () => {
    const lives: string[][] = [];
    for (const extras of EXTRAS) {
      const sent = await live(extras, `same/${isBatched ? "b" : "u"}${lives.length}`, isBatched);
      for (const { answer, method } of sent) {
        assert.is(answer.regionError ?? null, null, method);
        assert.is(answer.error ?? null, null, method);
        assert.equal(answer.errors ?? [], [], method);
      }
      lives.push(sent.map(plain).map((line) => line.replaceAll(/same\/[bu]\d/g, "key")));
    }
    for (const other of lives.slice(1)) assert.equal(other, lives[0]);
  });
}

test("gets and commands tell what they cost", async () => {
  const positive = (value: Wire64 | null | undefined): boolean => toBigInt(value ?? 0) > 0n;
  for (const isBatched of [false, true]) {
    for (const { answer, method } of await live({}, `cost/${isBatched}`, isBatched)) {
      if (method === "KvScan") continue;
      const details = answer.execDetailsV2 as kvrpcpb.ExecDetailsV2 | null;
      assert.ok(positive(details?.timeDetailV2?.totalRpcWallTimeNs), method);
      assert.ok(details?.scanDetailV2, method);
      const isRead = method === "KvGet" || method === "KvBatchGet";
      assert.is(details?.writeDetail === null, isRead, method);
      if (isRead) assert.is(toBigInt(details?.scanDetailV2?.processedVersions ?? 0), 1n, method);
      if (method === "KvCommit") assert.ok(positive(details?.writeDetail?.applyLogNanos), method);
    }
  }
});

test.run();
