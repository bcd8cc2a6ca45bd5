/**
 * Transactional requests that no client should send, against a real store: each has a typed answer,
 * and the store goes on.
 */
import type { Client } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { U64_MAX, utf8 } from "../../../src/base/index.js";
import { API_VERSION } from "../../../src/codec/index.js";
import { fromBigInt, kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import { type Served, startServed, unary } from "../../support/tikv_server.js";

const test = suite("hostile transactions");
const { Op } = kvrpcpb;
const k = utf8;
const u64 = fromBigInt;

let served: Served;
let client: Client;
let lastTs = 1000n;
const nextTs = (): bigint => ++lastTs;

test.before(async () => {
  served = await startServed();
  client = served.connect();
});
test.after(() => served.stop());

type Method = Parameters<typeof unary>[1];
interface Answer {
  readonly regionError: { readonly [field: string]: unknown } | null;
  readonly error?: kvrpcpb.KeyError | string | null;
  readonly errors?: readonly kvrpcpb.KeyError[];
  readonly [field: string]: unknown;
}

async function ask(method: Method, request: object): Promise<Answer> {
  const { context } = served;
  return (await unary(client, method, { context, ...request } as never)) as never;
}

/** The name of what a response complains about, with its text; "" = nothing. */
function complaint({ regionError, error, errors }: Answer): string {
  if (regionError !== null && regionError !== undefined) {
    const field = Object.entries(regionError).find(
      ([name, value]) => name !== "message" && value !== null,
    );
    return `region ${field?.[0] ?? ""}: ${regionError.message}`;
  }
  const first = errors?.[0] ?? error ?? undefined;
  if (first === undefined) return "";
  if (typeof first === "string") return first;
  if (first.abort !== "") return `abort ${first.abort}`;
  const named = Object.entries(first).find(([, value]) => value !== null && value !== "");
  return named?.[0] ?? "";
}

const put = (key: string, value: Uint8Array = k("v")) => ({ op: Op.Put, key: k(key), value });
const prewrite = (mutations: readonly object[], fields: object = {}) =>
  ask("KvPrewrite", {
    mutations,
    primaryLock: k("p"),
    startVersion: u64(nextTs()),
    lockTtl: 3000,
    ...fields,
  });
const lock = (keys: readonly string[], fields: object = {}) => {
  const startVersion = u64(nextTs());
  const mutations = keys.map((key) => ({ op: Op.PessimisticLock, key: k(key) }));
  const at = { startVersion, forUpdateTs: startVersion, primaryLock: k("p"), waitTimeout: -1 };
  return ask("KvPessimisticLock", { mutations, lockTtl: 1, ...at, ...fields });
};

type Row = readonly [name: string, run: () => Promise<Answer>, complaint: string | RegExp];

const LONG = "k".repeat(8192);

const ROWS: readonly Row[] = [
  ["a prewrite without mutations", () => prewrite([]), ""],
  ["a commit without keys", () => ask("KvCommit", { startVersion: 1, commitVersion: 2 }), ""],
  ["a rollback without keys", () => ask("KvBatchRollback", { startVersion: 1 }), ""],
  ["a batch get without keys", () => ask("KvBatchGet", { version: 1 }), ""],
  ["a pessimistic lock without keys", () => lock([]), ""],
  ["no secondary to check", () => ask("KvCheckSecondaryLocks", { startVersion: 1 }), ""],
  ["no transaction to resolve", () => ask("KvResolveLock", {}), ""],
  ["an empty key is read", () => ask("KvGet", { version: 1 }), ""],
  ["an empty key is written", () => prewrite([put("")]), ""],
  [
    "a key over the limit is written",
    () => prewrite([put(LONG)]),
    /^abort .*max key size exceeded/,
  ],
  ["a key over the limit is locked", () => lock([LONG]), /^abort .*max key size exceeded/],
  ["a key over the limit is read", () => ask("KvGet", { key: k(LONG), version: 1 }), ""],
  [
    "a value over the size of a log entry",
    () => prewrite([put("large", new Uint8Array(9 << 20))]),
    /^region raftEntryTooLarge/,
  ],
  ["a mutation twice", () => prewrite([put("twice"), put("twice")]), ""],
  ["a primary that is no mutation", () => prewrite([put("not-p")]), ""],
  ["start_version 0", () => prewrite([put("zero")], { startVersion: 0 }), ""],
  ["the largest start_version", () => prewrite([put("max")], { startVersion: u64(U64_MAX) }), ""],
  ["the largest ttl", () => prewrite([put("ttl")], { lockTtl: u64(U64_MAX) }), ""],
  ["no ttl", () => prewrite([put("ttl0")], { lockTtl: 0 }), ""],
  ["an unknown op", () => prewrite([{ op: 99, key: k("a") }]), /^abort mismatch Op .*: 99$/],
  [
    "commit_ts below start_ts",
    () => ask("KvCommit", { keys: [k("a")], startVersion: 9, commitVersion: 8 }),
    /InvalidTxnTso/,
  ],
  [
    "a commit without a prewrite",
    () => ask("KvCommit", { keys: [k("never")], startVersion: 8, commitVersion: 9 }),
    "retryable",
  ],
  [
    "resolve below start_ts",
    () => ask("KvResolveLock", { keys: [k("a")], startVersion: 9, commitVersion: 8 }),
    /InvalidTxnTso/,
  ],
  ["several keys over a conflict", () => lock(["f1", "f2"], { wakeUpMode: 1 }), /^abort/],
  [
    "locked only if it exists, unread",
    () => lock(["only"], { lockOnlyIfExists: true }),
    /LockIfExistsFailed/,
  ],
  ["a scan of 4,294,967,295 pairs", () => ask("KvScan", { limit: 0xffff_ffff, version: 1 }), ""],
  ["a scan of no pair", () => ask("KvScan", { limit: 0, version: 1 }), ""],
  [
    "a scan of crossed bounds",
    () => ask("KvScan", { startKey: k("z"), endKey: k("a"), limit: 9, version: 1 }),
    "",
  ],
  [
    "a reverse scan of crossed bounds",
    () => ask("KvScan", { startKey: k("a"), endKey: k("z"), reverse: true, limit: 9, version: 1 }),
    "",
  ],
  ["a scan at the largest version", () => ask("KvScan", { limit: 9, version: u64(U64_MAX) }), /.*/],
  [
    "a scan of locks with crossed bounds",
    () => ask("KvScanLock", { startKey: k("z"), endKey: k("a"), maxVersion: 1 }),
    "",
  ],
  [
    "a deleted range of crossed bounds",
    () => ask("KvDeleteRange", { startKey: k("z"), endKey: k("a") }),
    /.*/,
  ],
  [
    "a heart beat of nobody",
    () =>
      ask("KvTxnHeartBeat", {
        primaryLock: k("nobody"),
        startVersion: 3,
        adviseLockTtl: u64(U64_MAX),
      }),
    "txnNotFound",
  ],
  [
    "a status of nobody",
    () => ask("KvCheckTxnStatus", { primaryKey: k("nobody"), lockTs: 3 }),
    "txnNotFound",
  ],
  [
    "an unknown isolation level",
    () =>
      ask("KvGet", { context: { ...served.context, isolationLevel: 77 }, key: k("a"), version: 1 }),
    "",
  ],
  [
    "API V2 asked of V1",
    () =>
      ask("KvGet", {
        context: { ...served.context, apiVersion: API_VERSION.V2 },
        key: k("a"),
        version: 1,
      }),
    /^abort .*Api version in request does not match with TiKV storage, cmd: get, storage: V1, request: V2/,
  ],
];

for (const [name, run, expected] of ROWS) {
  test(name, async () => {
    const got = complaint(await run());
    if (expected instanceof RegExp) assert.match(got, expected);
    else assert.is(got, expected);
  });
}

test("after all of them the store goes on, and its max_ts is not ahead", async () => {
  const got = await prewrite([put("p")], { useAsyncCommit: true });
  assert.is(complaint(got), "");
  const minCommitTs = toBigInt(got.minCommitTs as number);
  assert.ok(minCommitTs > 0n && minCommitTs < 1n << 40n, `${minCommitTs}`);
});

test.run();
