/** Starting a store: a first start, a second one, joining, and stopping. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { FakePd } from "../../support/fake_pd.js";
import { startFixture } from "../../support/store_fixture.js";
import { within } from "../../support/within.js";

const pair = (key: string, value: string) => ({ key: utf8(key), value: utf8(value), ttl: 0n });

test("a first start serves raw commands and tells PD", async () => {
  const { store, pd, ctx } = await startFixture();
  assert.equal(await store.storage.raw.put(ctx, "", pair("a", "1"), false), {
    ok: true,
    value: undefined,
  });
  const got = await store.storage.raw.get(ctx, "", utf8("a"));
  assert.is(got.ok && got.value !== undefined && utf8Decode(got.value), "1");
  await within(1000, "both heartbeats", () => pd.regionHeartbeats.length > 0);
  assert.is(pd.storeHeartbeats[0]?.regionCount, 1);
  await store.stop();
});

test("a second start finds its identity, region and data", async () => {
  const first = await startFixture();
  await first.store.storage.raw.put(first.ctx, "", pair("a", "1"), false);
  await first.store.stop();
  const { engine, pd } = first;
  const ids = pd.calls.filter((call) => call === "allocId").length;
  const second = await startFixture({ engine, pd, address: "127.0.0.1:20161" });
  assert.is(second.store.storeId, first.store.storeId);
  assert.equal(second.store.regions(), first.store.regions());
  assert.is(pd.calls.filter((call) => call === "allocId").length, ids);
  assert.is(pd.stores.get(second.store.storeId)?.address, "127.0.0.1:20161");
  const got = await second.store.storage.raw.get(second.ctx, "", utf8("a"));
  assert.is(got.ok && got.value !== undefined && utf8Decode(got.value), "1");
  await second.store.stop();
});

test("a store that joins a bootstrapped cluster starts without a region", async () => {
  const pd = new FakePd();
  const first = await startFixture({ pd });
  const second = await startFixture({ pd, address: "127.0.0.1:20161" });
  assert.is(second.store.regions().length, 0);
  assert.is.not(second.store.storeId, first.store.storeId);
  const wrong = await second.store.storage.raw.get(
    { ...first.ctx, storeId: second.store.storeId },
    "",
    utf8("a"),
  );
  assert.is(!wrong.ok && wrong.error.type === "region" && wrong.error.error.kind, "regionNotFound");
  await first.store.stop();
  await second.store.stop();
});

test("a stopped store refuses with TiKV's words and leaves the engine closable", async () => {
  const { store, ctx, engine } = await startFixture();
  await store.stop();
  const refused = await store.storage.raw.put(ctx, "", pair("a", "1"), false);
  assert.is(
    !refused.ok && refused.error.type === "region" && refused.error.error.message,
    "TiKV is Closing",
  );
  await engine.close();
});

test("a region without a quorum does not hold up the stop; what waits is answered", async () => {
  const { store, ctx, engine, pd } = await startFixture();
  const put = () => store.storage.raw.put(ctx, "", pair("a", "1"), false);
  assert.ok((await put()).ok);
  await within(5000, "PD knows the region", () => pd.regionHeartbeats.length > 0);
  const [region] = store.regions();
  assert.ok(region);
  // A second voter on a store that does not exist: from now on nothing is committed.
  const { id: regionId, confVer, version, peers } = region as NonNullable<typeof region>;
  const peer = { id: 900n, storeId: 9n, role: 0 } as const;
  const targetPeer = peers[0];
  pd.order({ regionId, confVer, version, targetPeer, changePeers: [{ type: 0, peer }] });
  await within(5000, "the new member", () => store.regions()[0]?.peers.length === 2);
  const write = put();
  const read = store.storage.raw.get({ ...ctx, replicaRead: true }, "", utf8("a"));
  await store.stop();
  const answer = await write;
  assert.ok(!answer.ok && answer.error.type === "region", "refused, not lost");
  await read;
  await engine.close();
});

test.run();
