/**
 * A data directory of the first version opens: identity, region, raft and apply state byte for
 * byte, and the data. The Raft store has to open it as well.
 * @variants ENGINE=rocksdb,librocksdb
 */
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8, utf8Decode } from "../../../src/base/index.js";
import { librocksdbPresent } from "../../../src/engine/index.js";
import { initialRegion, type StoreInfo } from "../../../src/raftstore/index.js";
import { FakePd } from "../../support/fake_pd.js";
import { FIXTURE_CLUSTER, FIXTURE_DATA, fixtureEngine } from "../../support/make_store_fixture.js";
import { requires } from "../../support/requires.js";
import { dumpEngine, startFixture } from "../../support/store_fixture.js";
import { tmpDir } from "../../support/tmp.js";

const FIXTURE = fileURLToPath(new URL("../../../../../test/fixtures/store", import.meta.url));
const binding = process.env.ENGINE === "librocksdb" ? "librocksdb" : "rocksdb";

/** The cluster that the fixture belongs to, as PD remembers it. */
function clusterPd(): FakePd {
  const pd = new FakePd(FIXTURE_CLUSTER);
  pd.region = initialRegion(1n, 2n, 3n);
  pd.stores.set(1n, { id: 1n, address: "127.0.0.1:1" } as StoreInfo);
  return pd;
}

if (binding === "rocksdb" || requires("librocksdb", librocksdbPresent)) {
  test(`the fixture opens with ${binding}, and a store serves its data`, async () => {
    const path = tmpDir("fixture");
    cpSync(FIXTURE, path, { recursive: true });
    const engine = await fixtureEngine(path, binding);
    assert.equal(
      dumpEngine(engine).filter((line) => / 01/.test(line.slice(0, 12))),
      [
        "default 0101 088180f09d99ddbf92611001",
        "raft 0102000000000000000202 0a04080518051005",
        "raft 0102000000000000000203 0805120408051005",
        "raft 0103000000000000000201 120e08022204080110012a0408031001",
      ],
    );
    const pd = clusterPd();
    const { store, ctx } = await startFixture({ engine, pd });
    assert.is(store.storeId, 1n);
    assert.is(pd.calls.includes("bootstrap"), false);
    for (const [cf, key, value] of FIXTURE_DATA) {
      const got = await store.storage.raw.get(ctx, cf, utf8(key));
      assert.is(got.ok && got.value && utf8Decode(got.value), value, `${cf} ${key}`);
    }
    await store.storage.raw.put(ctx, "", { key: utf8("new"), value: utf8("1"), ttl: 0n }, false);
    await store.stop();
    await engine.close();
  });
} else {
  test.skip("needs librocksdb", () => {});
}

test.run();
