/**
 * Snapshots between store processes, over gRPC, through files and RocksDB: a store that was away
 * while the log was compacted, killed again while it receives and applies.
 * @variants RUTILE_ENGINE=librocksdb,rocksdb
 * @timeout 240
 * @seconds 25
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { utf8 } from "../../../src/base/index.js";
import type { RawClient } from "../../../src/client/index.js";
import { Cluster } from "../../../src/testing/index.js";
import { bindingOfEnvironment, bindingPresent } from "../../support/engine_harness.js";
import { tmpDir } from "../../support/tmp.js";
import { within } from "../../support/within.js";

const LIMIT_MS = 60_000;
const binding = bindingOfEnvironment();
const CONFIG = {
  "engine.binding": binding,
  "raftstore.raft-base-tick-interval": "100ms",
  "raftstore.raft-store-max-leader-lease": "800ms",
  "raftstore.pd-heartbeat-tick-interval": "1s",
  "raftstore.pd-store-heartbeat-tick-interval": "1s",
  "raftstore.raft-log-gc-tick-interval": "300ms",
  "raftstore.raft-log-gc-count-limit": 20,
};

async function fill(client: RawClient, prefix: string, count: number, bytes: number) {
  for (let from = 0; from < count; from += 100) {
    const pairs = Array.from({ length: Math.min(100, count - from) }, (_, i) => {
      return { key: `${prefix}${from + i}`, value: `${from + i} `.padEnd(bytes, "v") };
    });
    await client.batchPut(pairs);
  }
}

function namesIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Returns whether a file appears within a few seconds. */
function appears(folder: string, name: RegExp): Promise<boolean> {
  const isThere = (): boolean => namesIn(folder).some((one) => name.test(one));
  return within(10_000, `${name}`, isThere).then(
    () => true,
    () => false,
  );
}

/** Value of a series of the store's metrics, 0 when there is none. */
async function metric(cluster: Cluster, store: number, series: string): Promise<number> {
  const response = await fetch(`http://${cluster.stores[store]?.statusAddress}/metrics`);
  const line = (await response.text()).split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? 0);
}

const SENT = 'tikv_raftstore_snapshot_total{type="send",status="success"}';

if (!bindingPresent(binding) || binding === "memory") {
  test.skip("snapshots between processes: the library is missing", () => {});
} else {
  test("a store that was away gets snapshots, whenever it is killed", async () => {
    const dataDir = tmpDir("snapshot-cluster");
    const cluster = new Cluster({ config: CONFIG, dataDir });
    try {
      await cluster.start();
      await cluster.ready();
      const client = await cluster.client();
      await fill(client, "a", 200, 20);
      const away = ((await cluster.leaderOf("a0")) + 1) % 3;
      const others = [0, 1, 2].filter((one) => one !== away);
      const sent = async (): Promise<number> => {
        const counts = await Promise.all(others.map((one) => metric(cluster, one, SENT)));
        return counts.reduce((sum, count) => sum + count, 0);
      };
      const before = await sent();
      await cluster.kill(away);
      await fill(client, "a", 200, 30);
      await fill(client, "b", 4000, 1000);
      for (let i = 0; i < 40; i++) await client.put(`c${i}`, "an entry of its own");
      const folder = join(dataDir, `store-${away + 1}`, "snap");
      const seen: boolean[] = [];
      // While it receives; and with the file whole, which is before or while it applies.
      for (const name of [/\.tmp$/, /\.snap$/]) {
        await cluster.restart(away);
        seen.push(await appears(folder, name));
        await cluster.kill(away);
      }
      assert.ok(seen.includes(true), "a kill met a snapshot on its way");
      await cluster.restart(away);
      const [region] = await cluster.regions();
      await cluster.ready();
      await cluster.transferLeader(region?.id ?? 0n, away);
      for (const [key, bytes] of [
        ["a0", 30],
        ["a199", 30],
        ["b0", 1000],
        ["b3999", 1000],
      ] as const) {
        const value = `${key.slice(1)} `.padEnd(bytes, "v");
        assert.equal(await client.get(key), utf8(value), key);
      }
      assert.equal(await client.get("c39"), utf8("an entry of its own"));
      let scanned = 0;
      for await (const _pair of client.scan()) scanned++;
      assert.is(scanned, 200 + 4000 + 40);
      assert.ok((await sent()) > before, "a snapshot was sent");
      await within(LIMIT_MS, "no file is left", () => namesIn(folder).length === 0);
      assert.equal(cluster.deaths, []);
    } finally {
      await cluster.stop();
    }
  });
}

test.run();
