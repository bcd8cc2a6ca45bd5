/** Every Raw RPC through a grpc-js client, unary and (where it exists) as a batched command. */
import type { Client } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { API_VERSION } from "../../../src/codec/index.js";
import { crc64 } from "../../../src/kernel/index.js";
import { fromBigInt, type kvrpcpb, type tikvpb, toBigInt } from "../../../src/pb/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";

type Batched = keyof tikvpb.BatchCommandsRequest.IRequest &
  (
    | "RawGet"
    | "RawBatchGet"
    | "RawPut"
    | "RawBatchPut"
    | "RawDelete"
    | "RawBatchDelete"
    | "RawScan"
    | "RawDeleteRange"
    | "RawBatchScan"
  );

/** Calls one batched method in one of the two ways. */
type Call = (method: Batched, request: object) => Promise<Record<string, unknown>>;

function ways(served: Served, client: Client): (readonly [string, Call])[] {
  const batch = new BatchClient(client);
  batch.stream.on("error", () => {});
  const { context } = served;
  return [
    [
      "unary",
      async (method, request) =>
        (await unary(client, method, { context, ...request })) as unknown as Record<
          string,
          unknown
        >,
    ],
    [
      "batched",
      async (method, request) => {
        const [answer] = await batch.call({ [method]: { context, ...request } });
        return (answer as unknown as Record<Batched, Record<string, unknown>>)[method];
      },
    ],
  ];
}

const k = utf8;
const texts = (pairs: unknown): string[] =>
  (pairs as kvrpcpb.KvPair[]).map(({ key, value }) => `${utf8Decode(key)}=${utf8Decode(value)}`);

for (const build of ["js", "simd"] as const) {
  test(`put, get, delete, batches, scans and ranges answer alike in both ways (${build})`, async () => {
    const served = await startServed({ kernel: { build } });
    for (const [way, call] of ways(served, served.connect())) {
      assert.equal({ ...(await call("RawPut", { key: k("a"), value: k("1") })) }, {}, way);
      await call("RawPut", { key: k("empty"), value: k("") });
      const found = await call("RawGet", { key: k("a") });
      assert.is(utf8Decode(found.value as Uint8Array), "1");
      assert.is(found.notFound, false);
      const empty = await call("RawGet", { key: k("empty") });
      assert.is((empty.value as Uint8Array).length, 0);
      assert.is(empty.notFound, false, "an empty value is not a missing key");
      assert.is((await call("RawGet", { key: k("none") })).notFound, true);

      const pairs = ["b", "c", "d"].map((key, i) => ({ key: k(key), value: k(String(i)) }));
      assert.equal({ ...(await call("RawBatchPut", { pairs })) }, {});
      const many = await call("RawBatchGet", { keys: [k("d"), k("none"), k("b"), k("empty")] });
      assert.equal(texts(many.pairs), ["d=2", "b=0", "empty="], "missing keys are left out");
      const scan = await call("RawScan", { startKey: k("b"), limit: 2 });
      assert.equal(texts(scan.kvs), ["b=0", "c=1"]);
      const bounded = await call("RawScan", { startKey: k("a"), endKey: k("c"), limit: 9 });
      assert.equal(texts(bounded.kvs), ["a=1", "b=0"]);
      const down = await call("RawScan", {
        startKey: k("d"),
        endKey: k("b"),
        limit: 9,
        reverse: true,
        keyOnly: true,
      });
      assert.equal(texts(down.kvs), ["c=", "b="]);
      assert.equal(texts((await call("RawScan", { limit: 0 })).kvs), []);
      const ranges = [
        { startKey: k("a"), endKey: k("b") },
        { startKey: k("c"), endKey: k("z") },
      ];
      const scans = await call("RawBatchScan", { ranges, eachLimit: 2 });
      assert.equal(texts(scans.kvs), ["a=1", "c=1", "d=2"]);
      await call("RawDelete", { key: k("a") });
      assert.is((await call("RawGet", { key: k("a") })).notFound, true);
      await call("RawBatchDelete", { keys: [k("b"), k("none")] });
      await call("RawDeleteRange", { startKey: k("d"), endKey: k("f") });
      assert.equal(texts((await call("RawScan", { limit: 9 })).kvs), ["c=1"]);
      await call("RawDelete", { key: k("c") });
    }
    assert.ok(served.server.counters.gets > 0, "the hot path served gets");
    assert.ok(served.server.counters.writes > 0, "the hot path served writes");
    const impl = build === "js" ? "js" : "simd";
    assert.ok(served.kernels.calls.batchCommandsDecode[impl] > 0, "the kernel that was asked for");
    await served.stop();
  });
}

test("TTL: put, expiry, get_key_ttl, batch put, in both ways", async () => {
  const clock = new FakeClock();
  const served = await startServed({ clock, storage: { apiVersion: API_VERSION.V1TTL } });
  const client = served.connect();
  const { context } = served;
  for (const [way, call] of ways(served, client)) {
    await call("RawPut", { key: k("t"), value: k("v"), ttl: fromBigInt(10n) });
    await call("RawPut", { key: k("f"), value: k("v") });
    const ttl = await unary(client, "RawGetKeyTTL", { context, key: k("t") });
    assert.is(toBigInt(ttl.ttl), 10n, way);
    const forever = await unary(client, "RawGetKeyTTL", { context, key: k("f") });
    assert.is(toBigInt(forever.ttl), 0n);
    assert.is(forever.notFound, false);
    const missing = await unary(client, "RawGetKeyTTL", { context, key: k("none") });
    assert.is(missing.notFound, true);
    const pairs = [1, 2].map((i) => ({ key: k(`p${i}`), value: k("x") }));
    const wrong = await call("RawBatchPut", { pairs, ttls: [1n, 2n, 3n].map(fromBigInt) });
    assert.is(wrong.error, "The length of ttls does not equal to the length of pairs");
    await call("RawBatchPut", { pairs, ttls: [5n, 20n].map(fromBigInt) });
    clock.advance(9_999);
    assert.is(utf8Decode((await call("RawGet", { key: k("t") })).value as Uint8Array), "v");
    assert.equal(texts((await call("RawBatchGet", { keys: [k("p1"), k("p2")] })).pairs), ["p2=x"]);
    clock.advance(1);
    assert.is((await call("RawGet", { key: k("t") })).notFound, true, "expired");
    assert.equal(texts((await call("RawScan", { limit: 9 })).kvs), ["f=v", "p2=x"]);
    await call("RawDeleteRange", { startKey: k("a"), endKey: k("z") });
  }
  await served.stop();
});

test("compare and swap, checksum, unsafe destroy range", async () => {
  const served = await startServed();
  const client = served.connect();
  const { context } = served;
  const cas = (fields: object) =>
    unary(client, "RawCompareAndSwap", { context, key: k("c"), ...fields });
  const first = await cas({ value: k("1"), previousNotExist: true });
  assert.equal([first.succeed, first.previousNotExist], [true, true]);
  const lost = await cas({ value: k("2"), previousNotExist: true });
  assert.equal([lost.succeed, lost.previousNotExist], [false, false]);
  assert.is(utf8Decode(lost.previousValue), "1");
  const won = await cas({ value: k("2"), previousValue: k("1") });
  assert.is(won.succeed, true);
  const sum = await unary(client, "RawChecksum", {
    context,
    ranges: [{ startKey: k("a"), endKey: k("z") }],
  });
  assert.is(toBigInt(sum.checksum), crc64(k("c2")));
  assert.equal([toBigInt(sum.totalKvs), toBigInt(sum.totalBytes)], [1n, 2n]);
  const removed = await cas({ delete: true, previousValue: k("2") });
  assert.is(removed.succeed, true);
  const gone = await cas({ value: k("3"), previousValue: k("2") });
  assert.equal([gone.succeed, gone.previousNotExist], [false, true]);
  await unary(client, "RawPut", { context, key: k("c"), value: k("9") });
  const destroyed = await unary(client, "UnsafeDestroyRange", {
    context: {},
    startKey: k("a"),
    endKey: k("z"),
  });
  assert.is(destroyed.error, "");
  assert.is((await unary(client, "RawGet", { context, key: k("c") })).notFound, true);
  await served.stop();
});

test("other methods are UNIMPLEMENTED; batched, their error field says so", async () => {
  const served = await startServed();
  const client = served.connect();
  const { context } = served;
  for (const method of ["KvFlush", "KvBufferBatchGet", "Coprocessor", "KvImport"] as const) {
    const error = await unary(client, method, { context } as never).then(
      () => undefined,
      (thrown: { code: number }) => thrown,
    );
    assert.is(error?.code, 12, method);
  }
  const batch = new BatchClient(client);
  const [gc, flush, copr, txn, imported] = await batch.call(
    { GC: { context } },
    { Flush: { context } },
    { Coprocessor: { context } },
    { BroadcastTxnStatus: {} },
    { Import: {} },
  );
  assert.is(gc?.GC?.error?.abort, "KvGC is not supported");
  assert.is(flush?.Flush?.errors[0]?.abort, "KvFlush is not supported");
  assert.is(copr?.Coprocessor?.otherError, "Coprocessor is not supported");
  assert.ok(txn?.BroadcastTxnStatus);
  assert.is(imported?.Import?.error, "KvImport is not supported");
  await served.stop();
});

test.run();
