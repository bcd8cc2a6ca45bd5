/**
 * KvGets that arrive in one message of BatchCommands are answered together: each as a unary call
 * would be, whatever the others ask, and whatever keeps it from being answered with them.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EMPTY_BYTES, utf8, utf8Decode } from "../../../src/base/index.js";
import { fromBigInt, kvrpcpb, type tikvpb } from "../../../src/pb/index.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

type Get = kvrpcpb.IGetRequest;
type Batched = tikvpb.BatchCommandsRequest.IRequest;

const TS_MAX = (1n << 64n) - 1n;

/** A store with `k0` to `k9` of two versions each; `k3` has a long value, `k5` a lock since 50. */
async function stage(): Promise<{ served: Served; batch: BatchClient; context: kvrpcpb.IContext }> {
  const served = await startServed();
  const client = served.connect();
  const { context } = served;
  const write = async (startTs: bigint, keys: readonly number[], commits: boolean) => {
    const mutations = keys.map((i) => ({
      op: kvrpcpb.Op.Put,
      key: utf8(`k${i}`),
      value: utf8(`${i}@${startTs}`.repeat(i === 3 ? 100 : 1)),
    }));
    const startVersion = fromBigInt(startTs);
    const lockTtl = fromBigInt(1_000_000n);
    const request = { context, mutations, primaryLock: utf8(`k${keys[0]}`), startVersion, lockTtl };
    const prewritten = await unary(client, "KvPrewrite", request);
    assert.equal(prewritten.errors, []);
    if (!commits) return;
    const commitVersion = fromBigInt(startTs + 1n);
    const all = keys.map((i) => utf8(`k${i}`));
    const committed = await unary(client, "KvCommit", {
      context,
      keys: all,
      startVersion,
      commitVersion,
    });
    assert.is(committed.error, null);
  };
  await write(10n, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], true);
  await write(20n, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], true);
  await write(50n, [5], false);
  return { served, batch: new BatchClient(client), context };
}

/** What an answer says; details of time differ from call to call. */
function comparable(response: kvrpcpb.IGetResponse | null | undefined) {
  const { value, notFound, error, regionError, commitTs, execDetailsV2 } =
    response as kvrpcpb.GetResponse;
  const { processedVersions, processedVersionsSize } = execDetailsV2?.scanDetailV2 ?? {};
  const scan =
    error === null && regionError === null ? [processedVersions, processedVersionsSize] : [];
  return JSON.stringify({
    value: value && [...value],
    notFound,
    error,
    regionError,
    commitTs,
    scan,
  });
}

const get = (context: kvrpcpb.IContext, key: string, version: bigint, fields = {}): Get => ({
  context,
  key: utf8(key),
  version: fromBigInt(version),
  ...fields,
});

test("each get of a message is answered as alone", async () => {
  const { served, batch, context } = await stage();
  const requests: Get[] = [];
  for (const version of [5n, 11n, 15n, 21n, 60n, TS_MAX]) {
    for (let i = 0; i < 11; i++) requests.push(get(context, `k${i}`, version));
  }
  const stale = { ...context, regionEpoch: { confVer: 0, version: 0 } };
  requests.push(get(stale, "k1", 60n), get(stale, "k2", 60n));
  requests.push(get({ ...context, resolvedLocks: [fromBigInt(50n)] }, "k5", 60n));
  requests.push(get({ ...context, committedLocks: [fromBigInt(50n)] }, "k5", 60n));
  requests.push(get({ ...context, isolationLevel: kvrpcpb.IsolationLevel.RC }, "k5", 60n));
  requests.push(get({ ...context, isolationLevel: kvrpcpb.IsolationLevel.RCCheckTS }, "k5", 60n));
  requests.push(get({ ...context, regionId: 77 }, "k1", 60n));
  requests.push(get(context, "k1", 60n, { needCommitTs: true }));
  requests.push({ context, key: utf8("k1") });
  const together = await batch.call(...requests.map((Get): Batched => ({ Get })));
  const client = served.connect();
  for (const [i, request] of requests.entries()) {
    const alone = await unary(client, "KvGet", request);
    assert.is(comparable(together[i]?.Get), comparable(alone), `request ${i}`);
  }
  const seen = together.map(({ Get: answer }) => answer);
  assert.ok(seen.filter((answer) => (answer?.value?.length ?? 0) > 0).length > 40);
  assert.ok(seen.some((answer) => answer?.error?.locked != null));
  assert.ok(seen.some((answer) => answer?.regionError != null));
  await served.stop();
});

test("hundreds of gets of a message with values of all sizes", async () => {
  const { served, batch, context } = await stage();
  const client = served.connect();
  const sizes = [1, 100, 255, 256, 1900, 2100, 20_000];
  const mutations = Array.from({ length: 300 }, (_, i) => ({
    op: kvrpcpb.Op.Put,
    key: utf8(`v${i}`),
    value: new Uint8Array(sizes[i % sizes.length] as number).fill(1 + (i % 250)),
  }));
  const startVersion = fromBigInt(100n);
  const primaryLock = utf8("v0");
  const lockTtl = fromBigInt(1_000_000n);
  await unary(client, "KvPrewrite", { context, mutations, primaryLock, startVersion, lockTtl });
  const keys = mutations.map(({ key }) => key);
  const commitVersion = fromBigInt(101n);
  await unary(client, "KvCommit", { context, keys, startVersion, commitVersion });
  const gets = Array.from({ length: 900 }, (_, i) => get(context, `v${(i * 7) % 310}`, 200n));
  const answers = await batch.call(...gets.map((Get): Batched => ({ Get })));
  answers.forEach(({ Get: answer }, i) => {
    const want = mutations[(i * 7) % 310]?.value;
    assert.is(answer?.notFound, want === undefined, `get ${i}`);
    assert.is(Buffer.compare(answer?.value ?? EMPTY_BYTES, want ?? EMPTY_BYTES), 0, `get ${i}`);
    const { processedVersionsSize } = answer?.execDetailsV2?.scanDetailV2 ?? {};
    assert.is(Number(processedVersionsSize), want === undefined ? 0 : 9 + want.length, `get ${i}`);
  });
  await served.stop();
});

test("a batch get answers what gets answer, unary and batched", async () => {
  const { served, batch, context } = await stage();
  const client = served.connect();
  for (const version of [11n, 60n, TS_MAX]) {
    const keys = Array.from({ length: 11 }, (_, i) => utf8(`k${i}`));
    const request = { context, keys, version: fromBigInt(version) };
    const alone = await unary(client, "KvBatchGet", request);
    const [together] = await batch.call({ BatchGet: request });
    const shown = ({ pairs, error, regionError }: kvrpcpb.IBatchGetResponse): string =>
      JSON.stringify({ pairs, error, regionError });
    assert.is(shown(together?.BatchGet ?? {}), shown(alone));
    const gets = await Promise.all(
      keys.map((key) => unary(client, "KvGet", { context, key, version: fromBigInt(version) })),
    );
    const want = gets.flatMap(({ value, notFound, error }) => {
      if (notFound) return [];
      return [error === null ? utf8Decode(value) : `locked ${error.locked?.lockVersion}`];
    });
    const seen = alone.pairs.map((pair) =>
      pair.error == null
        ? utf8Decode(pair.value as Uint8Array)
        : `locked ${pair.error.locked?.lockVersion}`,
    );
    assert.equal(seen, want);
    assert.is(want.length, 10);
  }
  await served.stop();
});

test("a read raises max_ts, and a damaged request ends the stream", async () => {
  const { served, batch, context } = await stage();
  const gets = ["k1", "k2"].map((key): Batched => ({ Get: get(context, key, 900n) }));
  await batch.call(...gets);
  const { storage } = served.fixture.store;
  const manager = (storage.txn as unknown as { concurrencyManager: { maxTs: bigint } })
    .concurrencyManager;
  assert.ok(manager.maxTs >= 900n, `${manager.maxTs}`);
  // Get (1) with a body that is cut inside its key; twice, with ids 1 and 2.
  const body = [0x0a, 0x04, 0x0a, 0x02, 0x12, 0x09];
  const broken = Uint8Array.from([...body, ...body, 0x12, 0x02, 0x01, 0x02]);
  batch.sendBytes(broken);
  const error = await batch.ended;
  assert.ok(error !== undefined, "the stream ends with a status");
  await served.stop();
});

test.run();
