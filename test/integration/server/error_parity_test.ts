/**
 * Lies about region and cluster: unary calls and batched commands (hot and cold) give the same
 * errorpb.Error, field for field, and the data stays as it was.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { errorpb, fromBigInt, type kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import { BatchClient, startServed, unary } from "../../support/tikv_server.js";

type Change = (context: kvrpcpb.IContext) => kvrpcpb.IContext;
const big = fromBigInt;
const plus = (value: unknown, delta: bigint) => big(toBigInt(value as never) + delta);

const LIES: readonly (readonly [string, keyof errorpb.IError, Change])[] = [
  ["no region", "regionNotFound", (c) => ({ ...c, regionId: big(0n) })],
  ["another region", "regionNotFound", (c) => ({ ...c, regionId: plus(c.regionId, 1000n) })],
  ["a region id past 2^53", "regionNotFound", (c) => ({ ...c, regionId: big((1n << 63n) + 2n) })],
  ["another store", "storeNotMatch", (c) => ({ ...c, peer: { ...c.peer, storeId: big(99n) } })],
  [
    "the store's id plus 2^32",
    "storeNotMatch",
    (c) => ({ ...c, peer: { ...c.peer, storeId: plus(c.peer?.storeId, 1n << 32n) } }),
  ],
  ["another peer", "mismatchPeerId", (c) => ({ ...c, peer: { ...c.peer, id: big(77n) } })],
  [
    "an old epoch",
    "epochNotMatch",
    (c) => ({ ...c, regionEpoch: { ...c.regionEpoch, version: big(0n) } }),
  ],
  [
    "a future epoch",
    "epochNotMatch",
    (c) => ({ ...c, regionEpoch: { ...c.regionEpoch, version: plus(c.regionEpoch?.version, 1n) } }),
  ],
  ["a stale term", "staleCommand", (c) => ({ ...c, term: big(1n) })],
];

const plain = (error: errorpb.IError | null | undefined): unknown =>
  error === null || error === undefined
    ? error
    : Buffer.from(errorpb.Error.encode(error).finish()).toString("hex");

test("each lie gets TiKV's region error in every way", async () => {
  const served = await startServed();
  const client = served.connect();
  const batch = new BatchClient(client);
  const { context } = served;
  const key = utf8("k");
  await unary(client, "RawPut", { context, key, value: utf8("true") });
  for (const [lie, field, change] of LIES) {
    const liar = change(context);
    const single = await unary(client, "RawGet", { context: liar, key });
    assert.ok(single.regionError?.[field], `${lie}: ${JSON.stringify(single.regionError)}`);
    assert.ok((single.regionError?.message ?? "").length > 0, `${lie} has a message`);
    const put = await unary(client, "RawPut", { context: liar, key, value: utf8("lie") });
    const [get, write, many, remove, honest] = await batch.call(
      { RawGet: { context: liar, key } },
      { RawPut: { context: liar, key, value: utf8("lie") } },
      { RawBatchGet: { context: liar, keys: [key] } },
      { RawDelete: { context: liar, key } },
      { RawGet: { context, key } },
    );
    const expected = plain(single.regionError);
    assert.is(plain(put.regionError), expected, lie);
    assert.is(plain(get?.RawGet?.regionError), expected, lie);
    assert.is(plain(write?.RawPut?.regionError), expected, lie);
    assert.is(plain(many?.RawBatchGet?.regionError), expected, lie);
    assert.is(plain(remove?.RawDelete?.regionError), expected, lie);
    assert.equal(honest?.RawGet?.value, Buffer.from("true"), `${lie}: the others are served`);
  }
  const read = await unary(client, "RawGet", { context, key });
  assert.equal(read.value, Buffer.from("true"), "no lie was written");
  await served.stop();
});

test("a term that is one behind, or 0, is accepted", async () => {
  const served = await startServed();
  const batch = new BatchClient(served.connect());
  const { context } = served;
  for (const term of [0n, 5n, 6n, 7n, 100n]) {
    const [answer] = await batch.call({
      RawGet: { context: { ...context, term: big(term) }, key: utf8("k") },
    });
    assert.is(answer?.RawGet?.regionError, null, `term ${term}`);
  }
  await served.stop();
});

test("wrong cluster id: INVALID_ARGUMENT with TiKV's text; a batch stream fails", async () => {
  const served = await startServed();
  const client = served.connect();
  const text = "the cluster id of the request does not match the TiKV cluster";
  const other = { ...served.context, clusterId: plus(served.context.clusterId, 1n) };
  const key = utf8("k");
  for (const method of ["RawGet", "RawPut", "RawScan", "RawChecksum"] as const) {
    const error = await unary(client, method, { context: other, key } as never).then(
      () => undefined,
      (thrown: { code: number; details: string }) => thrown,
    );
    assert.equal([error?.code, error?.details], [3, text], method);
  }
  for (const request of [
    { RawGet: { context: other, key } },
    { RawPut: { context: other, key } },
  ]) {
    const batch = new BatchClient(client);
    void batch.call(request);
    const error = await batch.ended;
    assert.equal([error?.code, error?.details], [3, text]);
  }
  const none = { ...served.context, clusterId: big(0n) };
  assert.is((await unary(client, "RawGet", { context: none, key })).notFound, true, "0 names none");
  assert.is(served.server.counters.inflight, 0);
  await served.stop();
});

test("key, column family, TTL and API version errors keep TiKV's words in both ways", async () => {
  const served = await startServed();
  const client = served.connect();
  const batch = new BatchClient(client);
  const { context } = served;
  const key = utf8("k");
  const long = new Uint8Array(8 * 1024 + 1);
  const v2 = { ...context, apiVersion: 2 };
  const rows: readonly (readonly [object, RegExp])[] = [
    [{ key: long, value: key }, /max key size exceeded, size: 8193, limit: 8192/],
    [{ key, value: key, cf: "nope" }, /invalid cf name: nope/],
    [{ key, value: key, ttl: big(1n) }, /ttl is not enabled, but get put request with ttl/],
    [{ key, value: key, context: v2 }, /Api version in request does not match with TiKV storage/],
  ];
  for (const [fields, text] of rows) {
    const request = { context, ...fields };
    const single = await unary(client, "RawPut", request);
    assert.match(single.error, text);
    const [answer] = await batch.call({ RawPut: request });
    assert.is(answer?.RawPut?.error, single.error);
  }
  await served.stop();
});

test.run();
