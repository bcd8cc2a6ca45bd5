/** A PD whose disk fails, whose data is damaged, or whose port is taken. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TikvError, utf8 } from "../../../src/base/index.js";
import { type Engine, type EngineOptions, openEngine } from "../../../src/engine/index.js";
import { openDiskEngine } from "../../support/engine_harness.js";
import { startTestPd, testRegion, testStore } from "../../support/pd.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

/** Opens a memory engine whose writes fail from the moment that `broken.now` is set. */
function breakable(broken: { now: boolean }): (options: EngineOptions) => Promise<Engine> {
  return async (options) => {
    const engine = await openEngine(options);
    const write = engine.write.bind(engine);
    engine.write = (batch, writeOptions) => {
      if (!broken.now) return write(batch, writeOptions);
      const error = new Error("no space left on device");
      options.onFatal(error);
      return Promise.reject(error);
    };
    return engine;
  };
}

test("a failed write is reported once, and nothing is acknowledged that is not on disk", async () => {
  const broken = { now: false };
  const fatal: string[] = [];
  const onFatal = (error: Error): void => {
    fatal.push(error.message);
  };
  const pd = await startTestPd({ deps: { openEngine: breakable(broken), onFatal } });
  broken.now = true;
  const store = testStore(1n, "h:1");
  const calls = [
    pd.client.call("Bootstrap", { store, region: testRegion(1n) }),
    pd.client.call("Bootstrap", { store, region: testRegion(1n) }),
    // More than the window that is at hand.
    pd.client.call("AllocID", { count: 5000 }),
  ];
  for (const call of calls) {
    try {
      await call;
      assert.unreachable("acknowledged");
    } catch (error) {
      const { code, details } = error as ServiceError;
      assert.equal([code, details], [status.INTERNAL, "no space left on device"]);
    }
  }
  assert.equal(fatal, ["no space left on device"]);
  await pd.stop();
});

test("timestamps end with the window when it cannot be saved", async () => {
  const broken = { now: false };
  let fatal = 0;
  const pd = await startTestPd({
    options: { tsoSaveIntervalMs: 150 },
    deps: {
      openEngine: breakable(broken),
      onFatal: () => {
        fatal++;
      },
    },
  });
  assert.ok((await pd.client.timestamp()) > 0n);
  broken.now = true;
  await within(3000, "the save failed", () => fatal === 1);
  const last = (await pd.client.timestamp()) >> 18n;
  const failedMs = performance.now();
  await within(1000, "some ticks", () => performance.now() - failedMs > 200);
  const again = (await pd.client.timestamp()) >> 18n;
  assert.is(again, last, "physical time stands still below the saved end");
  await pd.stop();
});

async function damaged(key: string, value: Uint8Array): Promise<TikvError> {
  const dataDir = tmpDir("pd-damaged");
  const first = await startTestPd({ options: { dataDir } });
  const { clusterId } = first.pd;
  const store = testStore(1n, "h:1");
  await first.client.call("Bootstrap", { store, region: testRegion(1n) });
  await first.stop();
  const engine = await openDiskEngine("rocksdb", dataDir);
  const batch = engine.newWriteBatch();
  batch.put("default", utf8(key.replace("CLUSTER", String(clusterId))), value);
  await engine.write(batch, { sync: true });
  await engine.close();
  try {
    await startTestPd({ options: { dataDir } });
  } catch (error) {
    return error as TikvError;
  }
  throw new Error("started on damaged data");
}

for (const [key, value] of [
  ["/pd/cluster_id", utf8("short")],
  ["/pd/CLUSTER/timestamp", new Uint8Array(9)],
  ["/pd/CLUSTER/alloc_id", new Uint8Array(0)],
  ["/pd/CLUSTER/raft", utf8("\u0001")],
  ["/pd/CLUSTER/raft/s/00000000000000000001", utf8("\u0012\u00ff")],
  ["/pd/CLUSTER/raft/r/00000000000000000002", utf8("\u000f")],
  ["/pd/CLUSTER/gc/safe_point", utf8("xyz")],
] as const) {
  test(`a damaged record is refused at start, and named: ${key}`, async () => {
    const error = await damaged(key, value);
    assert.instance(error, TikvError);
    assert.is(error.code, "KV:Engine:Codec");
    assert.match(error.message, /^PD's data is damaged: /);
  });
}

test("a taken port is refused and leaves the directory free", async () => {
  const pd = await startTestPd();
  const dataDir = tmpDir("pd-port");
  try {
    await startTestPd({ options: { dataDir, port: pd.port } });
    assert.unreachable("listened twice");
  } catch (error) {
    assert.is((error as TikvError).code, "RUTILE:Net:AddressInUse");
  }
  const free = await startTestPd({ options: { dataDir } });
  await free.stop();
  await pd.stop();
});

test.run();
