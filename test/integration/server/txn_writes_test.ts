/**
 * KvPrewrites and KvCommits that arrive in one message of BatchCommands run together: each is
 * answered as a unary call would be, and leaves the same behind.
 */
import type { Client } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, type tikvpb, toBigInt } from "../../../src/pb/index.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

type Prewrite = kvrpcpb.IPrewriteRequest;
type Commit = kvrpcpb.ICommitRequest;
type Batched = tikvpb.BatchCommandsRequest.IRequest;
type Response = kvrpcpb.IPrewriteResponse & kvrpcpb.ICommitResponse;

const { Op } = kvrpcpb;
const READ_TS = 9000n;

interface Stage {
  readonly served: Served;
  readonly client: Client;
  readonly batch: BatchClient;
}

/** A store whose max_ts is above all timestamps of a test, with a lock on "locked" and a value of "new". */
async function stage(): Promise<Stage> {
  const served = await startServed();
  const client = served.connect();
  const { context } = served;
  const one = (key: string, startTs: bigint): Prewrite => prewrite(context, key, startTs);
  assert.equal((await unary(client, "KvPrewrite", one("locked", 300n))).errors, []);
  assert.equal((await unary(client, "KvPrewrite", one("new", 300n))).errors, []);
  const decided = { startVersion: 300, commitVersion: 310 };
  await unary(client, "KvCommit", { context, keys: [utf8("new")], ...decided });
  // The first refusal has PD asked for max_ts.
  for (let done = false; !done; ) {
    const onePc = { ...one("first", 400n), tryOnePc: true };
    done = (await unary(client, "KvPrewrite", onePc)).regionError == null;
  }
  await unary(client, "KvGet", { context, key: utf8("new"), version: fromBigInt(READ_TS) });
  return { served, client, batch: new BatchClient(client) };
}

function prewrite(
  context: kvrpcpb.IContext,
  key: string,
  startTs: bigint,
  fields: Prewrite = {},
): Prewrite {
  return {
    context,
    mutations: [{ op: Op.Put, key: utf8(key), value: utf8(`${key}@${startTs}`) }],
    primaryLock: utf8(key),
    startVersion: fromBigInt(startTs),
    lockTtl: fromBigInt(1_000_000n),
    txnSize: 1,
    ...fields,
  };
}

/** What an answer says; times, and commit timestamps of PD's, differ from store to store. */
function comparable(response: Response | null | undefined): string {
  const { errors, error, regionError, minCommitTs, onePcCommitTs, commitVersion, execDetailsV2 } =
    response as Response;
  // How many versions were passed depends on where a cursor stood.
  const { processedVersions, processedVersionsSize } = execDetailsV2?.scanDetailV2 ?? {};
  const decided = [minCommitTs, onePcCommitTs].map((ts) => toBigInt(ts ?? 0) > READ_TS);
  return JSON.stringify({
    ...{ errors: errors ?? [], error: error ?? null, regionError: regionError ?? null },
    ...{ decided, commitVersion: String(commitVersion ?? 0) },
    scan: [processedVersions, processedVersionsSize].map(String),
    hasDetails: execDetailsV2 != null && execDetailsV2.writeDetail != null,
  });
}

function prewrites(context: kvrpcpb.IContext): Prewrite[] {
  const one = (key: string, fields: Prewrite = {}, startTs = 500n): Prewrite =>
    prewrite(context, key, startTs, fields);
  const mutations = (...keys: string[]) => ({
    mutations: keys.map((key) => ({ op: Op.Put, key: utf8(key), value: utf8("x".repeat(300)) })),
  });
  const async = { useAsyncCommit: true, secondaries: [utf8("s")] };
  const stale = { ...context, regionEpoch: { confVer: 0, version: 0 } };
  return [
    ...Array.from({ length: 20 }, (_, i) => one(`k${i}`, { tryOnePc: true })),
    ...Array.from({ length: 5 }, (_, i) => one(`l${i}`)),
    ...Array.from({ length: 5 }, (_, i) => one(`m${i}`, async)),
    one("locked", { tryOnePc: true }),
    one("new", { tryOnePc: true }, 305n),
    one("many", { ...mutations("n1", "n2", "n3"), tryOnePc: true }),
    one("twice", { ...mutations("o1", "o1"), tryOnePc: true }),
    one("late", { tryOnePc: true, maxCommitTs: fromBigInt(600n) }),
    one("insert", { mutations: [{ op: Op.Insert, key: utf8("new"), value: utf8("v") }] }),
    one("check", { mutations: [{ op: Op.CheckNotExists, key: utf8("p1") }] }),
    one("deleted", { mutations: [{ op: Op.Del, key: utf8("p2") }], tryOnePc: true }),
    one("wrong", { mutations: [{ op: Op.Rollback, key: utf8("p3") }] }),
    one("none", { mutations: [] }),
    one("held", { forUpdateTs: 500, pessimisticActions: [1] }),
    one("amended", { forUpdateTs: 500, pessimisticActions: [0] }),
    one("actions", { forUpdateTs: 500 }),
    one("limits", {
      ...{ forUpdateTs: 500, pessimisticActions: [1] },
      forUpdateTsConstraints: [{ index: 0, expectedForUpdateTs: 9 }],
    }),
    one("files", { txnFileChunks: [1] }),
    one("asserted", {
      mutations: [{ op: Op.Put, key: utf8("p4"), assertion: kvrpcpb.Assertion.Exist }],
      assertionLevel: kvrpcpb.AssertionLevel.Fast,
    }),
    prewrite(stale, "q1", 500n, { tryOnePc: true }),
    prewrite(stale, "q2", 500n, { tryOnePc: true }),
    prewrite({ ...context, regionId: 77 }, "q3", 500n),
    prewrite({ ...context, apiVersion: kvrpcpb.APIVersion.V2 }, "q4", 500n),
    prewrite({ ...context, isRetryRequest: true }, "q5", 500n, { tryOnePc: true }),
    { ...one("q6"), context: null },
  ];
}

/** Everything that a reader finds, at a timestamp above all commits. */
async function contents({ client, served }: Stage): Promise<string[]> {
  const { context } = served;
  const version = fromBigInt(1n << 40n);
  const { pairs } = await unary(client, "KvScan", { context, limit: 1000, version });
  return pairs.map(({ error, key, value }) => {
    const what = error?.locked ?? undefined;
    const shown = what === undefined ? utf8Decode(value as Uint8Array) : String(what.lockVersion);
    return `${utf8Decode((what?.key ?? key) as Uint8Array)}=${shown}`;
  });
}

test("each prewrite and commit of a message is answered as alone, and leaves the same behind", async () => {
  const [one, other] = [await stage(), await stage()];
  const requests = prewrites(one.served.context);
  const alone: string[] = [];
  for (const request of requests) {
    alone.push(comparable(await unary(one.client, "KvPrewrite", request)));
  }
  const batched = prewrites(other.served.context).map((Prewrite): Batched => ({ Prewrite }));
  const together = await other.batch.call(...batched);
  for (const [i, want] of alone.entries()) {
    assert.is(comparable(together[i]?.Prewrite), want, `prewrite ${i}`);
  }
  assert.equal(await contents(other), await contents(one));
  const decidedShare = together.filter(({ Prewrite: answer }) => {
    return toBigInt(answer?.onePcCommitTs ?? 0) > READ_TS;
  }).length;
  assert.ok(decidedShare > 20, `${decidedShare} were committed by one phase`);
  const commits = (context: kvrpcpb.IContext): Commit[] => {
    const commit = (keys: string[], fields: Commit = {}): Commit => {
      return { context, keys: keys.map(utf8), startVersion: 500, commitVersion: 9500, ...fields };
    };
    return [
      ...Array.from({ length: 5 }, (_, i) => commit([`l${i}`])),
      commit(["m0", "m1"], { commitVersion: fromBigInt(1n << 30n), useAsyncCommit: true }),
      commit(["m2"], { commitVersion: 501 }),
      commit(["nothing"]),
      commit(["locked"]),
      commit(["m3"], { commitVersion: 400 }),
      commit([]),
      commit(["m4"], { context: { ...context, regionId: 77 } }),
    ];
  };
  const committed: string[] = [];
  for (const request of commits(one.served.context)) {
    committed.push(comparable(await unary(one.client, "KvCommit", request)));
  }
  const answers = await other.batch.call(
    ...commits(other.served.context).map((Commit): Batched => ({ Commit })),
  );
  for (const [i, want] of committed.entries()) {
    assert.is(comparable(answers[i]?.Commit), want, `commit ${i}`);
  }
  assert.equal(await contents(other), await contents(one));
  await one.served.stop();
  await other.served.stop();
});

test("a damaged prewrite ends its stream; those of another stream are answered", async () => {
  const { batch, client, served } = await stage();
  const calm = new BatchClient(client);
  // Prewrite (3) with a body that is cut inside its context; with id 1.
  batch.sendBytes(Uint8Array.from([0x0a, 0x04, 0x1a, 0x02, 0x0a, 0x09, 0x12, 0x01, 0x01]));
  const Prewrite = prewrite(served.context, "calm", 500n, { tryOnePc: true });
  const [answer] = await calm.call({ Prewrite });
  assert.ok(toBigInt(answer?.Prewrite?.onePcCommitTs ?? 0) > READ_TS);
  assert.ok((await batch.ended) !== undefined, "the stream ends with a status");
  await served.stop();
});

test.run();
