/**
 * Transactions on a store with API V2, straight to the wire: every command takes keys of keyspaces,
 * raw data of the same names lies beside them, and other requests are refused with TiKV's texts.
 */
import type { Client } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { concatBytes, utf8 } from "../../../src/base/index.js";
import { API_VERSION, keyspacePrefix } from "../../../src/codec/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

const test = suite("transactions in API V2");
const { Op } = kvrpcpb;
const KEYSPACE = 5;

let served: Served;
let client: Client;
let batch: BatchClient;
let lastTs = 1000n;
const nextTs = (): bigint => ++lastTs;

test.before(async () => {
  served = await startServed({ storage: { apiVersion: API_VERSION.V2 } });
  client = served.connect();
  batch = new BatchClient(client);
  batch.stream.on("error", () => {});
});
test.after(() => served.stop());

type Answer = Record<string, unknown>;

const prefix = keyspacePrefix("txn", KEYSPACE);
const x = (key: string): Uint8Array => concatBytes(prefix, utf8(key));
const END = keyspacePrefix("txn", KEYSPACE + 1);
const r = (key: string): Uint8Array => concatBytes(keyspacePrefix("raw", KEYSPACE), utf8(key));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
/** Keys and values, readable: those of the keyspace without its prefix. */
const pairsOf = (answer: Answer): string[] =>
  (answer.pairs as kvrpcpb.KvPair[]).map(({ key, value }) => {
    assert.is(hex(key.subarray(0, 4)), hex(prefix));
    return `${Buffer.from(key.subarray(4))}=${Buffer.from(value)}`;
  });

/** Sends a request unary, then in a batch; the answers must be the same but for what they cost. */
async function both(method: string, command: string, request: object): Promise<Answer> {
  const context = { ...served.context, keyspaceId: KEYSPACE };
  const whole = { context, ...request };
  const answer = (await unary(client, method as "KvGet", whole as never)) as unknown as Answer;
  if (command === "") return answer;
  const [other] = await batch.call({ [command]: whole });
  const batched = (other as unknown as Record<string, Answer>)[command] as Answer;
  const plain = ({ execDetailsV2: _, ...rest }: Answer): string => JSON.stringify(rest);
  assert.is(plain(batched), plain(answer), `${method}, batched`);
  return batched;
}

function noComplaint(answer: Answer, what: string): Answer {
  assert.is(answer.regionError ?? null, null, what);
  assert.is(answer.error === "" ? null : (answer.error ?? null), null, what);
  assert.equal(answer.errors ?? [], [], what);
  return answer;
}

async function write(entries: Record<string, string>, fields: object = {}): Promise<bigint> {
  const startTs = nextTs();
  const commitTs = nextTs();
  const keys = Object.keys(entries).map(x);
  const mutations = Object.values(entries).map((value, i) => ({
    op: Op.Put,
    key: keys[i] as Uint8Array,
    value: utf8(value),
  }));
  const startVersion = fromBigInt(startTs);
  const prewrite = { mutations, primaryLock: keys[0], startVersion, lockTtl: 3000, ...fields };
  const locked = noComplaint(await both("KvPrewrite", "Prewrite", prewrite), "prewrite");
  if (toBigInt(locked.onePcCommitTs as number) > 0n) return commitTs;
  const commit = { keys, startVersion, commitVersion: fromBigInt(commitTs) };
  noComplaint(await both("KvCommit", "Commit", commit), "commit");
  return commitTs;
}

test("two phases and reads, beside raw data of the same names", async () => {
  for (const key of ["a", "b"]) {
    const put = { key: r(key), value: utf8(`raw ${key}`) };
    noComplaint(await both("RawPut", "RawPut", put), "raw");
  }
  await write({ a: "1", b: "2", c: "3" });
  const version = fromBigInt(nextTs());
  const got = await both("KvGet", "Get", { key: x("a"), version });
  assert.is(Buffer.from(got.value as Uint8Array).toString(), "1");
  const many = await both("KvBatchGet", "BatchGet", { keys: ["c", "a"].map(x), version });
  assert.equal(pairsOf(many).sort(), ["a=1", "c=3"]);
  const whole = { version, limit: 9 };
  const forth = await both("KvScan", "Scan", { ...whole, startKey: prefix, endKey: END });
  assert.equal(pairsOf(forth), ["a=1", "b=2", "c=3"]);
  const back = { ...whole, startKey: END, endKey: prefix, reverse: true };
  assert.equal(pairsOf(await both("KvScan", "Scan", back)), ["c=3", "b=2", "a=1"]);
  const raw = await both("RawGet", "RawGet", { key: r("a") });
  assert.is(Buffer.from(raw.value as Uint8Array).toString(), "raw a");
});

test("1PC and async commit", async () => {
  await write({ one: "pc" }, { tryOnePc: true });
  const startVersion = fromBigInt(nextTs());
  const mutations = [{ op: Op.Put, key: x("async"), value: utf8("v") }];
  const prewrite = { mutations, primaryLock: x("async"), startVersion, lockTtl: 3000 };
  const asked = { ...prewrite, useAsyncCommit: true, secondaries: [x("other")] };
  const { minCommitTs } = noComplaint(await both("KvPrewrite", "Prewrite", asked), "async");
  assert.ok(toBigInt(minCommitTs as number) > toBigInt(startVersion));
  const check = { keys: [x("async")], startVersion };
  const secondaries = await both("KvCheckSecondaryLocks", "CheckSecondaryLocks", check);
  const [lock] = secondaries.locks as kvrpcpb.LockInfo[];
  assert.equal(
    [hex(lock?.key ?? prefix), lock?.secondaries.map(hex)],
    [hex(x("async")), [hex(x("other"))]],
  );
  const resolve = { startVersion, commitVersion: minCommitTs, keys: [x("async")] };
  noComplaint(await both("KvResolveLock", "ResolveLock", resolve), "resolve");
  const version = fromBigInt(nextTs() + 100n);
  const got = await both("KvGet", "Get", { key: x("async"), version });
  assert.is(Buffer.from(got.value as Uint8Array).toString(), "v");
});

test("pessimistic locks, heart beats, statuses, rollbacks, scans of locks", async () => {
  const startVersion = fromBigInt(nextTs());
  const mutations = [{ op: Op.PessimisticLock, key: x("p") }];
  const at = { startVersion, primaryLock: x("p"), lockTtl: 3000 };
  const lock = { ...at, mutations, forUpdateTs: startVersion, waitTimeout: -1 };
  noComplaint(await both("KvPessimisticLock", "PessimisticLock", lock), "lock");
  const beat = { primaryLock: x("p"), startVersion, adviseLockTtl: 5000 };
  const lived = noComplaint(await both("KvTxnHeartBeat", "TxnHeartBeat", beat), "heart beat");
  assert.is(toBigInt(lived.lockTtl as number), 5000n);
  const status = { primaryKey: x("p"), lockTs: startVersion, currentTs: startVersion };
  const alive = noComplaint(await both("KvCheckTxnStatus", "CheckTxnStatus", status), "status");
  assert.is(toBigInt(alive.lockTtl as number), 5000n);
  const range = { startKey: prefix, endKey: END, maxVersion: startVersion };
  const found = noComplaint(await both("KvScanLock", "ScanLock", range), "scan lock");
  assert.equal(
    (found.locks as kvrpcpb.LockInfo[]).map(({ key }) => hex(key)),
    [hex(x("p"))],
  );
  const back = { keys: [x("p")], startVersion, forUpdateTs: startVersion };
  noComplaint(await both("KVPessimisticRollback", "PessimisticRollback", back), "undo");
  noComplaint(await both("KvBatchRollback", "BatchRollback", back), "rollback");
  noComplaint(await both("KvCleanup", "Cleanup", { key: x("p"), startVersion }), "cleanup");
  const info = noComplaint(await both("MvccGetByKey", "", { key: x("p") }), "mvcc");
  assert.is((info.info as kvrpcpb.MvccInfo).writes.length, 1, "the rollback");
  const bounds = { startKey: x("p"), endKey: x("q") };
  noComplaint(await both("KvDeleteRange", "DeleteRange", bounds), "delete range");
});

test("locks of all modes are found and ended whatever the bounds: garbage is collected by region", async () => {
  const context = { ...served.context, apiVersion: API_VERSION.V1 };
  const startVersion = fromBigInt(nextTs());
  const mutations = [{ op: Op.Put, key: utf8("t1"), value: utf8("tidb") }];
  const prewrite = { mutations, primaryLock: utf8("t1"), startVersion, lockTtl: 1 };
  noComplaint(await both("KvPrewrite", "Prewrite", { context, ...prewrite }), "TiDB's key");
  const found = await both("KvScanLock", "ScanLock", { maxVersion: startVersion });
  assert.equal(
    (found.locks as kvrpcpb.LockInfo[]).map(({ key }) => Buffer.from(key).toString()),
    ["t1"],
  );
  const resolve = { startVersion, keys: [utf8("t1")] };
  noComplaint(await both("KvResolveLock", "ResolveLock", resolve), "resolved by a V2 client");
  const none = await both("KvScanLock", "ScanLock", { context, maxVersion: startVersion });
  assert.equal(none.locks, []);
});

const MODE = /Key mode mismatched with the request mode, cmd: \w+, storage: V2, (key|range): /;
const put = (key: Uint8Array) => ({
  mutations: [{ op: Op.Put, key, value: utf8("v") }],
  primaryLock: key,
  startVersion: 5,
});

const REFUSED: readonly (readonly [string, string, number, object])[] = [
  ["KvGet", "Get", 0, { key: x("a"), version: 5 }],
  ["KvGet", "Get", 0, { key: utf8("a"), version: 5 }],
  ["KvGet", "Get", 2, { key: r("a"), version: 5 }],
  ["KvGet", "Get", 2, { key: utf8("t1"), version: 5 }],
  ["KvBatchGet", "BatchGet", 2, { keys: [x("a"), r("a")], version: 5 }],
  ["KvScan", "Scan", 0, { startKey: prefix, endKey: END, version: 5, limit: 1 }],
  ["KvScan", "Scan", 2, { startKey: prefix, version: 5, limit: 1 }],
  ["KvScan", "Scan", 2, { version: 5, limit: 1 }],
  ["KvScan", "Scan", 2, { startKey: r("a"), endKey: x("a"), version: 5, limit: 1 }],
  ["KvPrewrite", "Prewrite", 0, put(x("a"))],
  ["KvPrewrite", "Prewrite", 2, put(r("a"))],
  ["KvPrewrite", "Prewrite", 2, put(utf8(""))],
  [
    "KvPessimisticLock",
    "PessimisticLock",
    2,
    { mutations: [{ op: Op.PessimisticLock, key: r("a") }], startVersion: 5, waitTimeout: -1 },
  ],
  ["KvDeleteRange", "DeleteRange", 2, { startKey: r(""), endKey: END }],
  ["KvDeleteRange", "DeleteRange", 2, { startKey: prefix }],
];

for (const [method, command, apiVersion, request] of REFUSED) {
  const keys = Object.entries(request).map(([name, value]) =>
    value instanceof Uint8Array ? `${name} ${Buffer.from(value).toString("latin1")}` : name,
  );
  test(`refused: ${method} in V${apiVersion || 1}: ${keys.join(", ")}`, async () => {
    const answer = await both(method, command, {
      context: { ...served.context, apiVersion },
      ...request,
    });
    const errors = answer.errors as kvrpcpb.KeyError[] | undefined;
    const error = errors?.[0] ?? (answer.error as kvrpcpb.KeyError | string);
    assert.match(typeof error === "string" ? error : (error?.abort ?? ""), MODE);
  });
}

test.run();
