/** Heartbeats: numbers, periods, and what PD's refusals lead to. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type TikvError, utf8 } from "../../../src/base/index.js";
import { FakeClock } from "../../support/fake_clock.js";
import { FakePd } from "../../support/fake_pd.js";
import { startFixture } from "../../support/store_fixture.js";
import { within } from "../../support/within.js";

test("the first heartbeats carry size, flow, interval and start time", async () => {
  const clock = new FakeClock();
  const pd = new FakePd();
  const deps = { statFs: () => ({ capacity: 1000, available: 700 }) };
  const { store, ctx, engine } = await startFixture({ clock, pd, deps, dataDir: "/data" });
  await within(1000, "the region heartbeat", () => pd.regionHeartbeats.length === 1);
  const [region] = pd.regionHeartbeats;
  assert.is(region?.leaderPeerId, 3n);
  assert.is(region?.term, 6n);
  assert.equal(region?.region, store.regions()[0]);
  const [stats] = pd.storeHeartbeats;
  assert.is(stats?.storeId, 1n);
  assert.is(stats?.capacity, 1000);
  assert.is(stats?.available, 700);
  assert.is(stats?.startTime, 1_700_000_000);
  assert.equal(stats?.interval, { start: 1_700_000_000, end: 1_700_000_000 });
  await store.storage.raw.put(ctx, "", { key: utf8("a"), value: utf8("1"), ttl: 0n }, false);
  await store.stop();
  await engine.close();
});

test("a store whose heartbeat and registration are refused ends with PD's words", async () => {
  const pd = new FakePd();
  const fatal: TikvError[] = [];
  const failure = { kind: "refused", message: "duplicated store id: store 1 is alive" } as const;
  pd.answers.set("storeHeartbeat", failure);
  const { store, engine } = await startFixture({
    pd,
    deps: {
      onFatal: (error) => fatal.push(error),
      // The first registration passes; the one after the refused heartbeat does not.
      onStep: (step) => {
        if (step === "store registered") pd.answers.set("putStore", failure);
      },
    },
  });
  await within(1000, "the refusal", () => fatal.length === 1);
  assert.is(fatal[0]?.code, "RUTILE:Store:Refused");
  assert.is(fatal[0]?.message, failure.message);
  await store.stop();
  await engine.close();
});

test.run();
