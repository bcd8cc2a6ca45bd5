/**
 * One store with all of raftstore: a region is split over gRPC while it serves; its parts serve, old
 * contexts learn of them, leases run out and come back, and a restart finds everything.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import {
  type errorpb,
  fromBigInt,
  type kvrpcpb,
  type metapb,
  toBigInt,
} from "../../../src/pb/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { memoryEngine } from "../../support/store_fixture.js";
import { BatchClient, type Served, startServed, unary } from "../../support/tikv_server.js";
import { within } from "../../support/within.js";

const CLOCK_STEP_MS = 60_000;

function contextOf(region: metapb.IRegion): kvrpcpb.IContext {
  const { id, regionEpoch } = region;
  return { regionId: id, regionEpoch, peer: region.peers?.[0] } as kvrpcpb.IContext;
}

const put = (context: kvrpcpb.IContext, key: string) => ({
  RawPut: { context, key: utf8(key), value: utf8(`value of ${key}`) },
});
const get = (context: kvrpcpb.IContext, key: string) => ({ RawGet: { context, key: utf8(key) } });

async function split(served: Served, context: kvrpcpb.IContext, keys: string[]) {
  const client = served.connect();
  const splitKeys = keys.map(utf8);
  const answer = await unary(client, "SplitRegion", { context, splitKeys, isRawKv: true });
  assert.is(answer.regionError, null, JSON.stringify(answer.regionError));
  return answer.regions;
}

const idsOf = (regions: readonly metapb.IRegion[] | null | undefined): bigint[] =>
  (regions ?? []).map(({ id }) => toBigInt(id as never));

/** Commands of a turn until none is refused: a part leads a moment after its split. */
async function served(batch: BatchClient, ...requests: Parameters<BatchClient["call"]>) {
  let answers = await batch.call(...requests);
  const refused = (): (errorpb.IError | null | undefined)[] =>
    answers.map((one) => (one.RawPut ?? one.RawGet)?.regionError).filter((error) => error != null);
  for (let i = 0; refused().length > 0 && i < 200; i++) answers = await batch.call(...requests);
  assert.equal(refused(), []);
  return answers;
}

test("SplitRegion: the parts serve, an old context learns them, PD is told", async () => {
  const fixture = await startServed();
  const batch = new BatchClient(fixture.connect());
  const { context } = fixture;
  await served(batch, put(context, "a"), put(context, "m"), put(context, "z"));
  const regions = await split(fixture, context, ["x", "k", "k"]);
  assert.is(regions.length, 3);
  assert.is(toBigInt(regions[2]?.id as never), toBigInt(context.regionId as never), "right derive");
  const bounds = regions.map(({ startKey, endKey }) => `${utf8Text(startKey)}-${utf8Text(endKey)}`);
  assert.equal(bounds, ["-k", "k-x", "x-"]);
  const [left, middle, right] = regions.map(contextOf) as [
    kvrpcpb.IContext,
    kvrpcpb.IContext,
    kvrpcpb.IContext,
  ];
  const answers = await served(
    batch,
    get(left, "a"),
    put(middle, "n"),
    get(middle, "m"),
    put(right, "y"),
    get(right, "z"),
  );
  const values = answers.map((one) => Buffer.from(one.RawGet?.value ?? []).toString());
  assert.equal(values, ["value of a", "", "value of m", "", "value of z"]);
  const cold = fixture.server.counters.cold;
  await served(batch, put(left, "b"), put(middle, "o"), put(right, "zz"), get(middle, "n"));
  assert.is(fixture.server.counters.cold, cold, "regions of one turn, all hot");
  for (const error of [
    (await batch.call(get(context, "a")))[0]?.RawGet?.regionError,
    (await unary(fixture.connect(), "RawPut", { context, key: utf8("a") })).regionError,
  ]) {
    const told = idsOf(error?.epochNotMatch?.currentRegions);
    assert.equal(told, idsOf([...regions].reverse()), "from right to left");
  }
  const outside = (await batch.call(get(left, "m")))[0]?.RawGet?.regionError;
  assert.ok(outside?.keyNotInRegion);
  await within(5000, "PD hears of the parts", () => {
    const known = new Set(fixture.fixture.pd.regionHeartbeats.map(({ region }) => region.id));
    return known.size === 3;
  });
  await fixture.stop();
});

const utf8Text = (bytes: Uint8Array | null | undefined): string =>
  Buffer.from(bytes ?? []).toString();

test("SplitRegion refuses keys outside, an old epoch and no keys", async () => {
  const fixture = await startServed();
  const { context } = fixture;
  const client = fixture.connect();
  const [left] = (await split(fixture, context, ["m"])).map(contextOf) as [kvrpcpb.IContext];
  const ask = (change: Partial<kvrpcpb.ISplitRegionRequest>) =>
    unary(client, "SplitRegion", {
      context: left,
      isRawKv: true,
      splitKeys: [utf8("z")],
      ...change,
    });
  const outside = await ask({});
  assert.ok(outside.regionError !== null && outside.regions.length === 0);
  const old = await ask({ context, splitKeys: [utf8("z")] });
  assert.ok(old.regionError?.epochNotMatch, JSON.stringify(old.regionError));
  const none = await ask({ context: { ...left, regionId: fromBigInt(999n) } });
  assert.ok(none.regionError?.regionNotFound);
  await fixture.stop();
});

test("a lease that has run out is renewed by the first read, which answers", async () => {
  const clock = new FakeClock();
  const fixture = await startServed({ clock });
  const batch = new BatchClient(fixture.connect());
  const { context } = fixture;
  await served(batch, put(context, "a"));
  const { counters } = fixture.server;
  for (let round = 0; round < 3; round++) {
    clock.advance(CLOCK_STEP_MS);
    const before = counters.cold;
    const [first] = await batch.call(get(context, "a"));
    assert.equal(Buffer.from(first?.RawGet?.value ?? []).toString(), "value of a");
    assert.is(counters.cold - before, 1, "asked the log");
    const [second] = await batch.call(get(context, "a"));
    assert.equal(Buffer.from(second?.RawGet?.value ?? []).toString(), "value of a");
    assert.is(counters.cold - before, 1, "under the new lease");
  }
  await fixture.stop();
});

test("a restart finds the parts of a split and their data", async () => {
  const engine = await memoryEngine();
  const pd = new FakePd();
  const first = await startServed({ engine, pd });
  const regions = await split(first, first.context, ["m"]);
  const [left, right] = regions.map(contextOf) as [kvrpcpb.IContext, kvrpcpb.IContext];
  const batch = new BatchClient(first.connect());
  await served(batch, put(left, "a"), put(right, "z"));
  await first.server.stop(100);
  await first.fixture.store.stop();
  const second = await startServed({ engine, pd, address: "127.0.0.1:20161" });
  const again = new BatchClient(second.connect());
  const answers = await again.call(get(left, "a"), get(right, "z"), put(left, "b"));
  assert.equal(Buffer.from(answers[0]?.RawGet?.value ?? []).toString(), "value of a");
  assert.equal(Buffer.from(answers[1]?.RawGet?.value ?? []).toString(), "value of z");
  assert.is(answers[2]?.RawPut?.regionError, null, "both parts lead before requests are served");
  await second.stop();
});

test.run();
