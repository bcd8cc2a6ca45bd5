/**
 * Every transactional RPC with every field at its ends, and random mixtures of them, unary and
 * batched: each request is answered in time, none is a failure of the server, nothing that was
 * acknowledged changes, and nothing is held afterwards.
 * @timeout 400
 */
import type { Client, ServiceError } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng, utf8 } from "../../../src/base/index.js";
import { composeTs } from "../../../src/codec/index.js";
import { REAL_CLOCK } from "../../../src/node/real_clock.js";
import {
  fromBigInt,
  fromSignedBigInt,
  kvrpcpb,
  methodInfo,
  toBigInt,
} from "../../../src/pb/index.js";
import type { RaftStorage } from "../../../src/storage/storage.js";
import { FakePd } from "../../support/fake_pd.js";
import { LogLines } from "../../support/log_lines.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const test = suite("transactions of hostile clients");
const { Op } = kvrpcpb;
const ANSWER_MS = 15_000;
/** Random requests of each method. */
const MIXED = 30;

let served: Served;
let client: Client;
let batch: BatchClient;
const log = new LogLines();
let clock = composeTs(BigInt(Date.now()), 0n);
const nextTs = (): bigint => ++clock;

test.before(async () => {
  const pd = new FakePd();
  pd.nextTs = clock;
  served = await startServed({ clock: REAL_CLOCK, pd, logger: log });
  client = served.connect();
  batch = new BatchClient(client);
  batch.stream.on("error", () => {});
  await writeGuards();
});
test.after(() => served.stop());

const storage = (): RaftStorage => served.fixture.store.storage as RaftStorage;

type Fields = Record<string, unknown>;

/** Keys below "h" are what hostile requests may name; above are the guards. */
let keys = 0;
const newKey = (): Uint8Array => utf8(`a/${++keys}`);

/** A good request of each method, and its name in BatchCommands; "" = unary alone. */
const METHODS: readonly (readonly [string, string, () => Fields])[] = [
  ["KvGet", "Get", () => ({ key: newKey(), version: nextTs() })],
  ["KvBatchGet", "BatchGet", () => ({ keys: [newKey(), newKey()], version: nextTs() })],
  [
    "KvScan",
    "Scan",
    () => ({ startKey: utf8("a"), endKey: utf8("b"), version: nextTs(), limit: 3, sampleStep: 0 }),
  ],
  [
    "KvPrewrite",
    "Prewrite",
    () => {
      const [first, second] = [newKey(), newKey()];
      const put = { op: Op.Put, value: utf8("v"), assertion: 0 };
      const mutations = [
        { ...put, key: first },
        { ...put, key: second },
      ];
      const at = { startVersion: nextTs(), primaryLock: first, lockTtl: 3000n, txnSize: 2n };
      return { mutations, ...at, secondaries: [second], pessimisticActions: [0, 0] };
    },
  ],
  [
    "KvPessimisticLock",
    "PessimisticLock",
    () => {
      const key = newKey();
      const at = { startVersion: nextTs(), forUpdateTs: clock, primaryLock: key, lockTtl: 3000n };
      return { mutations: [{ op: Op.PessimisticLock, key, assertion: 0 }], ...at };
    },
  ],
  [
    "KVPessimisticRollback",
    "PessimisticRollback",
    () => ({ keys: [newKey()], startVersion: nextTs(), forUpdateTs: clock }),
  ],
  [
    "KvCommit",
    "Commit",
    () => ({ keys: [newKey()], startVersion: nextTs(), commitVersion: nextTs() }),
  ],
  ["KvBatchRollback", "BatchRollback", () => ({ keys: [newKey()], startVersion: nextTs() })],
  ["KvCleanup", "Cleanup", () => ({ key: newKey(), startVersion: nextTs(), currentTs: 0n })],
  [
    "KvTxnHeartBeat",
    "TxnHeartBeat",
    () => ({ primaryLock: newKey(), startVersion: nextTs(), adviseLockTtl: 9n }),
  ],
  [
    "KvCheckTxnStatus",
    "CheckTxnStatus",
    () => ({ primaryKey: newKey(), lockTs: nextTs(), callerStartTs: nextTs(), currentTs: clock }),
  ],
  [
    "KvCheckSecondaryLocks",
    "CheckSecondaryLocks",
    () => ({ keys: [newKey()], startVersion: nextTs() }),
  ],
  [
    "KvResolveLock",
    "ResolveLock",
    () => ({ keys: [newKey()], startVersion: nextTs(), commitVersion: 0n }),
  ],
  [
    "KvScanLock",
    "ScanLock",
    () => ({ startKey: utf8("a"), endKey: utf8("b"), maxVersion: nextTs(), limit: 3 }),
  ],
  ["KvDeleteRange", "DeleteRange", () => ({ startKey: utf8("c"), endKey: utf8("d") })],
  [
    "BroadcastTxnStatus",
    "BroadcastTxnStatus",
    () => ({ txnStatus: [{ startTs: nextTs(), commitTs: nextTs(), minCommitTs: 0n }] }),
  ],
  ["MvccGetByKey", "", () => ({ key: newKey() })],
  ["MvccGetByStartTs", "", () => ({ startTs: nextTs() })],
  [
    "ReadIndex",
    "",
    () => ({ startTs: nextTs(), ranges: [{ startKey: utf8("a"), endKey: utf8("b") }] }),
  ],
  ["GetStoreSafeTS", "", () => ({ keyRange: { startKey: utf8("a"), endKey: utf8("b") } })],
  ["GetLockWaitInfo", "", () => ({})],
];

const MAX = (1n << 64n) - 1n;
const U64 = [0n, 1n, MAX, MAX - 1n, 1n << 63n, (1n << 53n) + 1n, 1n << 18n];
const I64 = [0n, -1n, 1n, (1n << 63n) - 1n, -(1n << 63n)];
const U32 = [0, 1, 0xffff_ffff, 0x7fff_ffff];
const ENUM = [-1, 0, 1, 99, 0x7fff_ffff];
const BYTES = [0, 1, 8, 9, 8192, 1 << 20].map((length) =>
  new Uint8Array(length).fill(length % 250),
);
/** Lists of this many: more than a turn's work, less than a message's bound. */
const MANY = 1000;

/** What a field may hold instead, by what the empty message holds in it. */
function extremes(empty: unknown, given: unknown): readonly unknown[] {
  if (typeof empty === "boolean") return [true, false];
  if (typeof empty === "number") return [...U32, ...ENUM];
  if (empty instanceof Uint8Array) return BYTES;
  if (Array.isArray(empty)) return listExtremes(Array.isArray(given) ? given : []);
  if (typeof empty === "object" && empty !== null && "unsigned" in empty) {
    const { unsigned } = empty as { unsigned: boolean };
    return unsigned ? U64.map(fromBigInt) : I64.map(fromSignedBigInt);
  }
  return [];
}

function listExtremes(given: readonly unknown[]): readonly unknown[] {
  const [first] = given;
  if (first === undefined) return [[]];
  const many = Array.from({ length: MANY }, () => first);
  const lists: unknown[] = [[], [...given, ...given], many];
  if (typeof first !== "object" || first === null) return [...lists, [99], [-1]];
  if (first instanceof Uint8Array) return [...lists, ...BYTES.map((bytes) => [bytes])];
  for (const [name, value] of Object.entries(first)) {
    const empty = typeof value === "bigint" ? fromBigInt(0n) : value;
    for (const extreme of extremes(empty, value)) lists.push([{ ...first, [name]: extreme }]);
  }
  return lists;
}

/** The request as the wire's types have it. */
function wire(value: unknown): unknown {
  if (typeof value === "bigint") return fromBigInt(value);
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(wire);
  if ("unsigned" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, wire(field)]));
}

/** Field names of a method, each with what it may hold instead. */
function fieldsOf(method: string, base: Fields): [string, readonly unknown[]][] {
  const info = methodInfo("tikvpb.Tikv", method as "KvGet");
  const empty = info.request.decode(new Uint8Array()) as unknown as Fields;
  const names = Object.keys(Object.getPrototypeOf(empty)).concat(Object.keys(empty));
  return [...new Set(names)]
    .filter((name) => name !== "context" && typeof empty[name] !== "function")
    .map((name) => [name, extremes(empty[name], base[name])] as [string, readonly unknown[]])
    .filter(([, values]) => values.length > 0);
}

/** Sends a request in each way that the method has; fails unless each is answered. */
async function send(method: string, command: string, fields: Fields, what: string): Promise<void> {
  const request = { context: served.context, ...(wire(fields) as Fields) };
  const answers = [unary(client, method as "KvGet", request as never) as Promise<unknown>];
  if (command !== "") answers.push(batch.call({ [command]: request }));
  let isAnswered = false;
  const all = Promise.all(answers).then(
    () => {
      isAnswered = true;
    },
    ({ code, details }: ServiceError) => {
      throw new Error(`${method}, ${what}: status ${code} ${details}`);
    },
  );
  await Promise.race([all, within(ANSWER_MS, `${method}, ${what}`, () => isAnswered)]);
  await all;
}

const GUARDS = ["x/1", "x/2", "x/3"];

async function writeGuards(): Promise<void> {
  const mutations = GUARDS.map((key) => ({ op: Op.Put, key: utf8(key), value: utf8(key) }));
  const startVersion = fromBigInt(nextTs());
  const at = { context: served.context, startVersion };
  const prewrite = { ...at, mutations, primaryLock: utf8("x/1"), lockTtl: 3000 };
  await unary(client, "KvPrewrite", prewrite);
  const commitVersion = fromBigInt(nextTs());
  const committed = await unary(client, "KvCommit", {
    ...at,
    keys: GUARDS.map(utf8),
    commitVersion,
  });
  assert.equal([committed.regionError, committed.error], [null, null]);
}

/** Nothing is held, nothing was logged as a fault, the guards are there, and commits go on. */
async function mustBeWell(what: string): Promise<void> {
  // What is asked to be deleted, in whatever bounds, is.
  if (what === "KvDeleteRange") await writeGuards();
  const { txn } = storage();
  await within(ANSWER_MS, `${what}: all have ended`, () => txn.running === 0);
  assert.is(txn.concurrencyManager.size, 0, `${what}: memory locks`);
  assert.is(txn.lockWaits().length, 0, `${what}: waits`);
  const ahead = composeTs(BigInt(Date.now() + 120_000), 0n);
  assert.ok(txn.concurrencyManager.maxTs < ahead, `${what}: max_ts is in the future`);
  const errors = log.lines.filter(({ level }) => level === "error");
  assert.equal(errors, [], what);
  const version = fromBigInt(nextTs());
  const { context } = served;
  const range = { startKey: utf8("x/"), endKey: utf8("x~"), version, limit: 9 };
  const { pairs } = await unary(client, "KvScan", { context, ...range });
  assert.equal(
    pairs.map(({ key, value }) => [`${Buffer.from(key)}`, `${Buffer.from(value)}`]),
    GUARDS.map((key) => [key, key]),
    what,
  );
  const key = newKey();
  const put = [{ op: Op.Put, key, value: utf8("v") }];
  const startVersion = fromBigInt(nextTs());
  const one = { context, mutations: put, primaryLock: key, startVersion, lockTtl: 3000 };
  const { onePcCommitTs } = await unary(client, "KvPrewrite", { ...one, tryOnePc: true });
  assert.ok(toBigInt(onePcCommitTs) > toBigInt(startVersion), `${what}: 1PC goes on`);
}

for (const [method, command, base] of METHODS) {
  test(`${method}: each field at its ends`, async () => {
    for (const [name, values] of fieldsOf(method, base())) {
      for (const [i, value] of values.entries()) {
        await send(method, command, { ...base(), [name]: value }, `${name}, value ${i}`);
      }
    }
    await mustBeWell(method);
  });

  test(`${method}: several fields at once`, async () => {
    const prng = new Prng(BigInt(method.length));
    const options = fieldsOf(method, base());
    for (let i = 0; i < MIXED && options.length > 1; i++) {
      const fields = base();
      const changed = options.filter(() => prng.below(3) === 0);
      for (const [name, values] of changed) fields[name] = prng.pick(values);
      await send(method, command, fields, `mixture ${i}: ${changed.map(([name]) => name)}`);
    }
    await mustBeWell(method);
  });
}

test("without a context, and with one of lies, every method answers a region error or nothing", async () => {
  for (const [method, command, base] of METHODS) {
    for (const context of [null, {}, { ...served.context, regionId: fromBigInt(MAX) }]) {
      await send(method, command, { ...base(), context }, "context");
    }
  }
  await mustBeWell("contexts");
});

test.run();
