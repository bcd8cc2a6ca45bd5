/**
 * Random lies about cluster, region, store, peer, epoch, term and API version, each context with
 * at least one: through the storage and over the wire no write of them is accepted.
 * @timeout 60
 */
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import { fromBigInt, type kvrpcpb, toBigInt } from "../../../src/pb/index.js";
import type { RequestContext } from "../../../src/storage/index.js";
import { dumpEngine, startFixture } from "../../support/store_fixture.js";
import { BatchClient, startServed, unary } from "../../support/tikv_server.js";

const SEED = 20_261_121;
const LIES = 20_000;
const WIRE_LIES = 4000;

/** Ids that are near a right one, at the ends, or anything. */
function wrongId(right: bigint): fc.Arbitrary<bigint> {
  const near = [right - 1n, right + 1n, right + (1n << 32n), right + (1n << 53n), 0n];
  const ends = [(1n << 64n) - 1n, 1n << 63n, (1n << 53n) + 1n];
  const known = [...near, ...ends].filter((id) => id >= 0n && id !== right);
  return fc.oneof(
    fc.constantFrom(...known),
    fc.bigInt(0n, (1n << 64n) - 1n).filter((id) => id !== right),
  );
}

/** Contexts that differ from `right` in one to all of the fields that a store checks. */
function lies(right: RequestContext): fc.Arbitrary<RequestContext> {
  const wrong = {
    regionId: wrongId(right.regionId),
    peerId: wrongId(right.peerId),
    storeId: wrongId(right.storeId),
    version: wrongId(right.version),
    // The term is 5; 0 is "not told", and one behind or ahead of it is TiKV's tolerance.
    term: fc.bigInt(1n, 3n),
    apiVersion: fc.integer({ min: 1, max: 1000 }),
  };
  return fc
    .record(wrong, { requiredKeys: [] })
    .filter((fields) => Object.keys(fields).length > 0)
    .map((fields) => ({ ...right, ...fields }));
}

test("20,000 lying contexts through the storage: no write is accepted, the data is as before", async () => {
  const { store, engine, ctx } = await startFixture();
  const { raw } = store.storage;
  const key = utf8("k");
  await raw.put(ctx, "", { key, value: utf8("true"), ttl: 0n }, false);
  const before = dumpEngine(engine);
  const kinds = new Map<string, number>();
  const pair = { key, value: utf8("lie"), ttl: 0n };
  const writes = [
    (lie: RequestContext) => raw.put(lie, "", pair, false),
    (lie: RequestContext) => raw.delete(lie, "", key, false),
    (lie: RequestContext) => raw.batchPut(lie, "", [pair], false),
    (lie: RequestContext) => raw.deleteRange(lie, "", utf8("a"), utf8("z")),
    (lie: RequestContext) => raw.compareAndSwap(lie, "", key, utf8("true"), utf8("lie"), 0n, false),
  ];
  const sample = fc.sample(lies(ctx), { numRuns: LIES, seed: SEED });
  for (const [i, lie] of sample.entries()) {
    const reply = await (writes[i % writes.length] as (typeof writes)[0])(lie);
    assert.is(
      reply.ok,
      false,
      JSON.stringify(lie, (_, value) => String(value)),
    );
    if (reply.ok) continue;
    const kind = reply.error.type === "region" ? reply.error.error.kind : reply.error.type;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  assert.is(sample.length, LIES);
  const expected = ["epochNotMatch", "key", "mismatchPeerId", "regionNotFound"];
  assert.equal([...kinds.keys()].sort(), [...expected, "staleCommand", "storeNotMatch"]);
  assert.equal(dumpEngine(engine), before);
  await store.stop();
  await engine.close();
});

function onWire(lie: RequestContext, clusterId: bigint): kvrpcpb.IContext {
  return {
    regionId: fromBigInt(lie.regionId),
    regionEpoch: { confVer: fromBigInt(lie.confVer), version: fromBigInt(lie.version) },
    peer: { id: fromBigInt(lie.peerId), storeId: fromBigInt(lie.storeId) },
    term: fromBigInt(lie.term),
    apiVersion: lie.apiVersion as never,
    clusterId: fromBigInt(clusterId),
  };
}

test("4,000 lying contexts over the wire, beside honest requests", async () => {
  const served = await startServed();
  const client = served.connect();
  const batch = new BatchClient(client);
  const { context, fixture } = served;
  const key = utf8("k");
  await unary(client, "RawPut", { context, key, value: utf8("true") });
  const before = dumpEngine(fixture.engine);
  const clusterId = toBigInt(context.clusterId ?? 0);
  const sample = fc.sample(lies(fixture.ctx), { numRuns: WIRE_LIES, seed: SEED });
  for (let at = 0; at < sample.length; at += 200) {
    const group = sample.slice(at, at + 200).map((lie) => onWire(lie, clusterId));
    const requests = group.flatMap((lie) => [
      { RawPut: { context: lie, key, value: utf8("lie") } },
      { RawGet: { context, key } },
    ]);
    const answers = await batch.call(...requests);
    answers.forEach((answer, i) => {
      if (i % 2 === 1) assert.equal(Buffer.from(answer.RawGet?.value ?? []), Buffer.from("true"));
      else assert.ok(answer.RawPut?.regionError || answer.RawPut?.error, `lie ${at + i / 2}`);
    });
  }
  const others = fc.sample(wrongId(clusterId), { numRuns: 100, seed: SEED });
  for (const id of others.filter((one) => one !== 0n)) {
    const lie = { ...context, clusterId: fromBigInt(id) };
    const code = await unary(client, "RawPut", { context: lie, key, value: utf8("lie") }).then(
      () => 0,
      (error: { code: number }) => error.code,
    );
    assert.is(code, 3, `cluster ${id}`);
  }
  assert.equal(dumpEngine(fixture.engine), before);
  await served.stop();
});

test.run();
