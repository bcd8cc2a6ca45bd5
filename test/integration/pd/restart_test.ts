/**
 * A PD that ends in any way finds its data again and repeats no timestamp and no id.
 * @timeout 120
 * @seconds 14
 * @waits
 */
import { once } from "node:events";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { toBigInt } from "../../../src/pb/index.js";
import { JumpingClock } from "../../support/clocks.js";
import { startTestPd, testRegion, testStore, tsOf } from "../../support/pd.js";
import { type PdProcess, spawnPd } from "../../support/pd_process.js";
import { tmpDir } from "../../support/tmp.js";

const HOUR_MS = 3_600_000;

/** Asks for timestamps without pause until the process is killed; returns blocks as [first, last]. */
async function takeUntilKilled(child: PdProcess, killAfterMs: number): Promise<[bigint, bigint][]> {
  const blocks: [bigint, bigint][] = [];
  const stream = child.client.stream("Tso");
  let number = 0;
  const ask = (): void => {
    stream.write({ header: child.client.header, count: 1 + (number++ % 5000) });
  };
  stream.on("data", (response) => {
    const last = tsOf(response);
    blocks.push([last - BigInt(response.count - 1), last]);
    ask();
  });
  const ended = once(stream, "error").catch(() => {});
  stream.once("data", () => {
    setTimeout(() => child.process.kill("SIGKILL"), killAfterMs);
  });
  for (let i = 0; i < 8; i++) ask();
  await once(child.process, "exit");
  await ended;
  child.client.close();
  return blocks;
}

test("killed with -9 ten times, clock an hour ahead and behind: all unique and increasing", async () => {
  const dataDir = tmpDir("pd-kill");
  const offsets = [0, HOUR_MS, 0, -HOUR_MS, 0, 0, HOUR_MS, -HOUR_MS, 0, 0];
  let largest = 0n;
  let taken = 0;
  let largestId = 0n;
  const clusterIds = new Set<bigint>();
  for (const [round, offset] of offsets.entries()) {
    const child = await spawnPd(dataDir, offset);
    clusterIds.add(child.clusterId);
    const { id } = await child.client.call("AllocID", { count: 1 + round * 300 });
    const first = toBigInt(id) - BigInt(round * 300);
    assert.ok(first > largestId, `round ${round}: id ${first} is above ${largestId}`);
    largestId = toBigInt(id);
    const blocks = await takeUntilKilled(child, 20 + ((round * 37) % 100));
    assert.ok(blocks.length > 0, `round ${round} took none`);
    for (const [from, to] of blocks) {
      assert.ok(from > largest, `round ${round}: ${from} is above ${largest}`);
      largest = to;
      taken++;
    }
  }
  assert.is(clusterIds.size, 1, "the cluster id is kept");
  assert.ok(taken > 100, `${taken} blocks`);
});

test("the wall clock jumps an hour forward and back while serving", async () => {
  const clock = new JumpingClock();
  const pd = await startTestPd({ deps: { clock } });
  const stream = pd.client.stream("Tso");
  let last = 0n;
  const take = async (): Promise<bigint> => {
    stream.write({ header: pd.client.header, count: 100 });
    const [response] = await once(stream, "data");
    const ts = tsOf(response);
    assert.ok(ts - 99n > last, `${ts - 99n} is above ${last}`);
    last = ts;
    return ts >> 18n;
  };
  for (const offset of [0, HOUR_MS, 0, -HOUR_MS, 2 * HOUR_MS, 0]) {
    clock.offsetMs = offset;
    // Two ticks, so that the oracle follows the jump.
    const until = performance.now() + 120;
    while (performance.now() < until) await take();
  }
  const ahead = (last >> 18n) - BigInt(Date.now());
  assert.ok(ahead > BigInt(2 * HOUR_MS - 10_000), "it stayed at the largest time seen");
  assert.ok(ahead < BigInt(2 * HOUR_MS + 10_000), "and did not run away");
  const ended = once(stream, "status");
  stream.resume();
  stream.end();
  await ended;
  await pd.stop();
});

test("a clean restart finds cluster, stores, regions and configuration", async () => {
  const dataDir = tmpDir("pd-restart");
  const first = await startTestPd({ options: { dataDir } });
  const store = testStore(1n, "h:1", { labels: [{ key: "zone", value: "z" }] });
  await first.client.call("Bootstrap", { store, region: testRegion(1n) });
  await first.client.call("PutStore", { store: testStore(9n, "h:9") });
  const before = await first.client.timestamp(1000);
  const { id } = await first.client.call("AllocID", {});
  await first.stop();

  const second = await startTestPd({ options: { dataDir } });
  const { client } = second;
  assert.is(second.pd.clusterId, first.pd.clusterId);
  assert.ok((await client.call("IsBootstrapped", {})).bootstrapped);
  const { stores } = await client.call("GetAllStores", {});
  assert.equal(
    stores.map((one) => one.address),
    ["h:1", "h:9"],
  );
  assert.is(stores[0]?.labels[0]?.value, "z");
  const region = await client.call("GetRegion", { regionKey: Buffer.from("any") });
  assert.is(toBigInt(region.region?.id ?? 0), 2n);
  assert.is(region.leader, null, "known again at the next heartbeat");
  assert.ok((await client.timestamp()) > before);
  assert.ok(toBigInt((await client.call("AllocID", {})).id) > toBigInt(id));
  const members = await client.callRaw("pdpb.PD", "GetMembers", {});
  assert.equal(members.leader?.clientUrls, [`http://${second.pd.address}`], "the new port");
  await second.stop();
});

test("stop lets a Tso stream that is open go, and closes the directory", async () => {
  const dataDir = tmpDir("pd-stop");
  const pd = await startTestPd({ options: { dataDir }, limits: { shutdownGraceMs: 200 } });
  const stream = pd.client.stream("Tso");
  stream.write({ header: pd.client.header, count: 1 });
  await once(stream, "data");
  const ended = new Promise((resolve) => stream.once("error", resolve));
  const started = performance.now();
  await pd.pd.stop();
  assert.ok(performance.now() - started < 2000);
  await ended;
  pd.client.close();
  const again = await startTestPd({ options: { dataDir } });
  await again.stop();
});

test.run();
