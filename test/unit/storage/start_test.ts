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

test.run();
